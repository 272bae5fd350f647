# A job from {"args": […], "id": "optional"}, shaped by JOB_* variables; null means absent.
def variable($name): $ENV[$name] // "" | if . == "" then null else . end;
def whole($name; $least): variable($name)
  | if . == null or (test("^(0|[1-9][0-9]{0,8})\\z") and tonumber >= $least) then .
    else error("\($name) takes a whole number from \($least) on, not \(tojson)") end;
if type != "object" then error("the document must be an object: {\"args\": […], \"id\": \"optional\"}")
elif .args == null and keys - ["args", "id"] != []
  then error("the document has no args, but \(keys - ["args", "id"] | join(", ")): did you mean args?")
elif .args // [] | type != "array" or any(type != "string") then error("args takes an array of strings")
elif .id | . == "" or type == "array" or type == "object" then error("id takes a text that is not empty")
else . end
| whole("JOB_TTL"; 1) as $ttl
| (whole("JOB_RETRIES"; 0) // "2" | tonumber) as $retries
| {
    Name: "\($ENV.JOB_NAME_PREFIX // "demo-job-")\(.id // @sha1)",
    Image: (variable("JOB_IMAGE") // "debian:stable-slim"),
    # KILL ten seconds after TERM; -k is what busybox and coreutils both call it
    Entrypoint: ((if $ttl == null then [] else ["timeout", "-k", "10", $ttl] end)
      + [variable("JOB_COMMAND") // "echo"]),
    Cmd: .args,
    Env: [$ENV | to_entries[] | select(.key | startswith("JOB_ENV_") and . != "JOB_ENV_")
      | "\(.key | ltrimstr("JOB_ENV_"))=\(.value)"],
    HostConfig: ({
      NetworkMode: variable("JOB_NETWORK"),
      LogConfig: {Type: "json-file", Config: {"max-size": "10m", "max-file": "1"}},
      # a maximum of 0 would be none at all to the engine
      RestartPolicy: (if $retries == 0 then {Name: "no"}
        else {Name: "on-failure", MaximumRetryCount: $retries} end)
      # as process 1 the job would not be ended by TERM, nor by a KILL from inside
    } + if $ttl == null then {} else {Init: true} end)
  }
