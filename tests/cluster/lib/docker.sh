# shellcheck shell=bash
# A private Docker daemon, for machines without one that can pull kind's node image. It has its own
# folders, socket, cgroup and addresses, and does not change the machine's firewall rules.

SOCKET=$STATE/run/docker.sock
DAEMON_CGROUP=$CLUSTER_NAME
BRIDGE=pp-kind            # the network "kind"
DEFAULT_BRIDGE=pp-docker0 # docker0 is the machine's
# From the range reserved for tests of isolated networks. The resolver is an address of this machine
# that is not the gateway of the network "kind": kind sends that one to Docker's own resolver, and
# the cluster's DNS would query itself.
DEFAULT_BRIDGE_ADDRESS=198.18.128.1
KIND_SUBNET=198.18.132.0/24
KIND_GATEWAY=198.18.132.1
DAEMON_READY_SECONDS=30
STOP_SECONDS=20

# Another program called docker may be first on PATH.
docker_client() { DOCKER_HOST=unix://$SOCKET DOCKER_CONFIG=$STATE/client /usr/bin/docker "$@"; }

daemon_answers() { [[ -S $SOCKET ]] && timeout 5 env DOCKER_HOST="unix://$SOCKET" /usr/bin/docker version >/dev/null 2>&1; }

daemon_answers_or_ended() { daemon_answers || process_gone "$1"; }

lacks_sys_resource() {
	local bounding
	bounding=$(awk '/^CapBnd/ { print $2 }' /proc/self/status)
	(((0x$bounding >> 24 & 1) == 0))
}

daemon_up() {
	daemon_answers && return
	((EUID == 0)) || die "no running Docker daemon can pull the node image, and only root can start a private one: run as root, or start Docker and check that 'docker pull kindest/node:$KUBERNETES_VERSION' works"
	[[ $(os_release) == "debian bookworm" ]] ||
		die "no running Docker daemon can pull the node image, and the images can be built locally only on Debian 12: start Docker, and check that 'docker pull kindest/node:$KUBERNETES_VERSION' works"
	need_programs dockerd=docker.io /usr/bin/docker=docker.io containerd=containerd runc=runc iptables=iptables ip=iproute2
	sweep_machine
	mkdir -p "$STATE/run" "$STATE/client"
	install_runtime
	write_daemon_config
	step "start a Docker daemon" start_daemon_surely
	remove_containers
}

install_runtime() {
	local folder
	lacks_sys_resource || return 0
	folder=$(build_module oci-runtime "$HERE/node" ./runtime)
	install -m 755 "$folder/oci-runtime" "$STATE/oci-runtime"
}

write_daemon_config() {
	local runtime=
	if lacks_sys_resource; then
		runtime="\"runtimes\": {\"without-sys-resource\": {\"path\": \"$STATE/oci-runtime\"}}, \"default-runtime\": \"without-sys-resource\","
	fi
	cat >"$STATE/daemon.json" <<-JSON
		{
		  "data-root": "$STATE/docker", "exec-root": "$STATE/run/docker", "pidfile": "$STATE/run/docker.pid",
		  "hosts": ["unix://$SOCKET"],
		  "iptables": false, "ip6tables": false, "ip-forward": false, "ip-masq": false,
		  "bridge": "$DEFAULT_BRIDGE", "default-address-pools": [{"base": "$KIND_SUBNET", "size": 24}],
		  "dns": ["$DEFAULT_BRIDGE_ADDRESS"],
		  "storage-driver": "overlay2", $runtime
		  "exec-opts": ["native.cgroupdriver=cgroupfs"], "cgroup-parent": "/$DAEMON_CGROUP"
		}
	JSON
}

# The data of a killed daemon can be corrupt: then the daemon starts with an empty folder, and the node
# image is loaded from the cache again.
start_daemon_surely() {
	start_daemon && return
	echo "the daemon does not start with its data; starting with an empty folder"
	sweep_machine
	rm -rf "$STATE/docker"
	mkdir -p "$STATE/run"
	start_daemon
}

start_daemon() {
	local procs pid
	procs=$(daemon_cgroup)/cgroup.procs
	# Networks of a killed daemon would prevent the creation of the same networks.
	rm -rf "$STATE/docker/network"
	ip link show "$DEFAULT_BRIDGE" >/dev/null 2>&1 || ip link add "$DEFAULT_BRIDGE" type bridge
	ip address replace "$DEFAULT_BRIDGE_ADDRESS/24" dev "$DEFAULT_BRIDGE"
	ip link set "$DEFAULT_BRIDGE" up
	(
		echo "$BASHPID" >"$procs"
		exec setsid dockerd --config-file "$STATE/daemon.json" >>"$STATE/docker.log" 2>&1 </dev/null
	) &
	pid=$!
	retry "$DAEMON_READY_SECONDS" daemon_answers_or_ended "$pid"
	daemon_answers || {
		tail -n 20 "$STATE/docker.log"
		return 1
	}
	docker_client network inspect kind >/dev/null 2>&1 ||
		docker_client network create -d bridge --subnet "$KIND_SUBNET" --gateway "$KIND_GATEWAY" \
			-o com.docker.network.bridge.name="$BRIDGE" kind
}

# daemon_cgroup: a cgroup for the daemon, so that all its processes can be found and killed even after
# the daemon was killed. One hierarchy is enough for that.
daemon_cgroup() {
	local base=/sys/fs/cgroup
	[[ -f $base/cgroup.controllers ]] || base=$base/pids
	mkdir -p "$base/$DAEMON_CGROUP/daemon"
	printf '%s\n' "$base/$DAEMON_CGROUP/daemon"
}

our_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "$DAEMON_CGROUP" 2>/dev/null; }

remove_containers() {
	local containers
	containers=$(docker_client ps -aq)
	# shellcheck disable=SC2086 # a list of ids
	[[ -z $containers ]] || step "remove containers" docker_client rm -f -v $containers
	docker_client volume prune -f >/dev/null
}

daemon_down() {
	# If an orderly stop fails, sweep_machine removes the rest.
	if daemon_answers; then
		(remove_containers) || true
		docker_client network rm kind >/dev/null 2>&1 || true
		(step "stop the Docker daemon" stop_daemon) || true
	fi
	sweep_machine
}

stop_daemon() {
	local pid
	pid=$(<"$STATE/run/docker.pid")
	kill -TERM "$pid"
	retry "$STOP_SECONDS" process_gone "$pid"
}

# A zombie counts as ended.
process_gone() { [[ ! -e /proc/$1 ]] || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

# sweep_machine removes the processes, mounts, bridges and cgroups of a killed daemon.
sweep_machine() {
	((EUID == 0)) || return 0
	end_processes
	unmount_all
	local link
	# The virtual interface of a dead node can outlive it for minutes.
	for link in $(ip -o link show master "$BRIDGE" 2>/dev/null | grep -oE '^[0-9]+: [^@:]+' | cut -d' ' -f2); do
		ip link delete "$link" 2>/dev/null || true
	done
	ip link delete "$BRIDGE" 2>/dev/null || true
	ip link delete "$DEFAULT_BRIDGE" 2>/dev/null || true
	local group
	for group in $(our_cgroups); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
	rm -rf "$STATE/run"
}

end_processes() {
	local groups tries pids
	mapfile -t groups < <(our_cgroups)
	((${#groups[@]} > 0)) || return 0
	for ((tries = 0; tries < 100; tries++)); do
		# A paused container dies only after it was resumed.
		find "${groups[@]}" -name freezer.state -exec sh -c 'echo THAWED >"$1"' _ {} \; 2>/dev/null || true
		find "${groups[@]}" -name cgroup.freeze -exec sh -c 'echo 0 >"$1"' _ {} \; 2>/dev/null || true
		pids=$({ find "${groups[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null || true; } | sort -un)
		[[ -n $pids ]] || return 0
		# shellcheck disable=SC2086 # a list of numbers
		kill -9 $pids 2>/dev/null || true
		sleep 0.1
	done
	die "cannot kill the processes of an earlier cluster: $pids"
}

unmount_all() {
	local mount
	awk -v state="$STATE/" 'index($5, state) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r mount; do umount -l "$mount" 2>/dev/null || true; done
}
