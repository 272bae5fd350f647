# A job from {"args": […], "id": "optional"}, shaped by JOB_* variables; null means absent.
def variable($name; $default): $ENV[$name] // $default;
($ENV.JOB_TTL // "" | tonumber? // null) as $ttl
| (variable("JOB_RETRIES"; "2") | tonumber) as $retries
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
      # a maximum of 0 would be none at all to the engine
      RestartPolicy: (if $retries == 0 then {Name: "no"}
        else {Name: "on-failure", MaximumRetryCount: $retries} end)
    }
  }
