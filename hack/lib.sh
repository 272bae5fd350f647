# shellcheck shell=bash
# What the scripts of this folder share. Source it after `set -euo pipefail`.
# shellcheck disable=SC2034 # the variables are for those who source this

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
run=$root/.run
venv=${VENV:-$root/.venv}
python=$venv/bin/python
# Two clones may share an engine: what each makes there bears the mark of its folder.
clone=$(printf %s "$root" | sha256sum | cut -c 1-8)
demo_image=docker-job-dispatcher-demo:$clone
demo_namespace=demo-$clone
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Everything goes to standard error: the output of hack/engine up is for eval.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# need PACKAGE…: install those of Debian's packages that are missing.
need() {
    local package missing=()
    command -v dpkg-query >/dev/null || {
        say "not a Debian system; this must be here already: $*"
        return
    }
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || die "run as root, or install: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    local log status=0
    log=$(mktemp)
    # RUNLEVEL=1: a package's service is not started; whoever needs it starts it.
    {
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
                apt-get install -y --no-install-recommends "${missing[@]}"
    } </dev/null >"$log" 2>&1 || status=$?
    ((status == 0)) || tail -n 20 "$log" >&2
    rm -f "$log"
    ((status == 0)) || die "cannot install ${missing[*]}"
}

# need_command COMMAND PACKAGE…: install the packages if the command is missing.
need_command() {
    command -v "$1" >/dev/null && return
    need "${@:2}"
    command -v "$1" >/dev/null || die "$1 is missing"
}

# need_docker: the Docker command line, which newer Debians keep in a package of its own.
need_docker() {
    command -v docker >/dev/null && return
    need docker.io
    command -v docker >/dev/null || need docker-cli
}

# find_mirror: print the mirror of Debian that this machine's apt uses.
find_mirror() {
    # shellcheck disable=SC2016 # apt-get fills it in
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '!/security/ && !n++'
}

# answers HOST: whether an engine serves there.
answers() { timeout 10 docker --host "$1" version >/dev/null 2>&1; }

# sweep RUNTIME STATE: end what a killed dockerd with these two folders leaves alive (containerd,
# shims, their jobs), and take away its mounts and the first of the folders.
sweep() {
    local file pid mount
    for file in $(grep -lsF -- "$1/" /proc/[0-9]*/cmdline || true); do
        pid=${file//[!0-9]/}
        grep -qs containerd "$file" || continue
        # shellcheck disable=SC2046 # one word for each child
        kill -KILL $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid" 2>/dev/null || true
    done
    while read -r mount; do
        umount -l "$mount"
    done < <(awk '{print $2}' /proc/self/mounts | grep -F -e "$1/" -e "$2/" | tac)
    rm -rf "$1"
}

# note_missing FILE: write there what every dockerd adds to a machine, whatever its folders, and is
# not here yet.
note_missing() {
    local path
    for path in /etc/docker/key.json /etc/docker /opt/containerd /run/containerd /run/docker; do
        [[ -e $path ]] || echo "$path"
    done >"$1"
}

# remove_missing FILE: remove what note_missing has noted there.
remove_missing() {
    local path
    while read -r path; do
        [[ ! -f $path ]] || rm -f "$path"
        # Another engine may use the folder by now.
        [[ ! -d $path ]] || find "$path" -depth -type d -empty -delete
    done <"$1"
}

# takes_nothing ARGUMENT…: for a script without arguments; any has it say what it does, and end.
takes_nothing() {
    (($#)) || return 0
    sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
    [[ $1 == --help || $1 == -h ]] || exit 2
    exit 0
}

# is_ours PID_FILE WORD: whether the process in the file lives and its command line holds WORD.
# The command line of a zombie is empty, and a pid that was used again holds another.
is_ours() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [[ $pid ]] || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$2"
}

# stop PID_FILE WORD: end that process, if it is ours, and forget it.
stop() {
    local pid signal
    for signal in TERM KILL; do
        is_ours "$1" "$2" || break
        pid=$(cat "$1")
        kill "-$signal" "$pid" 2>/dev/null || true
        for ((i = 0; i < 200; i++)); do
            is_ours "$1" "$2" || break
            sleep 0.1
        done
    done
    rm -f "$1"
}

# start PID_FILE LOG COMMAND…: run it in a session of its own, free of this terminal and its pipes.
start() {
    local pid_file=$1 log=$2
    shift 2
    setsid "$@" </dev/null >>"$log" 2>&1 &
    echo $! >"$pid_file"
    # until it has become the command, which may take a while beside a load, it is not known as ours;
    # where the command becomes another, as unshare does, the last word stays
    for ((i = 0; i < 600; i++)); do
        is_ours "$pid_file" "${!#}" && return
        kill -0 "$!" 2>/dev/null || return 0
        sleep 0.05
    done
}

# The command as a plugin of the docker CLI, which looks for plugins in this user's folder.
plugin=${DOCKER_CONFIG:-${HOME:-/root}/.docker}/cli-plugins/docker-job

# link_plugin: have `docker job` run this clone's command; what somebody else put there stays.
link_plugin() {
    [[ -x $venv/bin/docker-job ]] || return 1
    if [[ -e $plugin || -L $plugin ]]; then
        [[ $(readlink "$plugin") == "$venv/bin/docker-job" ]]
        return
    fi
    mkdir -p "${plugin%/*}" 2>/dev/null && ln -s "$venv/bin/docker-job" "$plugin" 2>/dev/null
}

# unlink_plugin: take the link away again, if it is this clone's.
unlink_plugin() {
    [[ $(readlink "$plugin" 2>/dev/null) != "$venv/bin/docker-job" ]] || rm -f "$plugin"
}

# make_demo_image: Debian's static busybox and nothing else; no registry is asked.
make_demo_image() {
    local tree name
    docker image inspect "$demo_image" >/dev/null 2>&1 && return
    tree=$(mktemp -d)
    mkdir "$tree/bin" "$tree/tmp"
    cp "$(command -v busybox)" "$tree/bin/busybox"
    for name in sh sleep echo true false timeout; do
        ln -s busybox "$tree/bin/$name"
    done
    tar -C "$tree" -c . | docker import - "$demo_image" >/dev/null
    rm -rf "$tree"
}
