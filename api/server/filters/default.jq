# A job from {"args": […], "id": "optional"}, shaped by JOB_* variables; null means absent.
def variable($name; $default): $ENV[$name] // $default;
($ENV.JOB_TTL // "" | tonumber? // null) as $ttl
| {
    Name: "\(variable("JOB_NAME_PREFIX"; "demo-job-"))\(.id // @sha1)",
    Image: variable("JOB_IMAGE"; "debian:stable-slim"),
    Entrypoint: ((if $ttl == null then [] else ["timeout", "\($ENV.JOB_TTL)"] end)
      + [variable("JOB_COMMAND"; "echo")]),
    Cmd: .args,
    Env: [$ENV | to_entries[] | select(.key | startswith("JOB_ENV_"))
      | "\(.key | ltrimstr("JOB_ENV_"))=\(.value)"],
    HostConfig: {
      NetworkMode: $ENV.JOB_NETWORK,
      LogConfig: {Type: "json-file", Config: {"max-size": "10m", "max-file": "1"}},
      RestartPolicy: {
        Name: "on-failure",
        MaximumRetryCount: (variable("JOB_RETRIES"; "2") | tonumber)
      }
    }
  }
