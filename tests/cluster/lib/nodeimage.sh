# shellcheck shell=bash disable=SC2153
# kind's node image, built from Debian packages, the node files in kind's Go module and our Kubernetes
# binary, for machines that cannot pull it.

NODE_PACKAGES=(systemd systemd-sysv dbus containerd runc containernetworking-plugins iptables nftables iproute2
	conntrack ethtool socat util-linux mount kmod procps jq bash ca-certificates curl hostname e2fsprogs pigz)
CONTAINERD_READY_SECONDS=20

# node_image_up: prints the image's name once the private daemon has it.
node_image_up() {
	local kube helpers writer kind_files key image tar debian
	kube=$(kube_folder)
	helpers=$(build_module pause "$HERE/node" ./pause)
	writer=$(writer_folder)
	kind_files=$(cd "$HERE/kube" && go mod download -json "sigs.k8s.io/kind@$KIND_VERSION" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/images/base/files
	key=$(printf '%s\n' "$kube" "$helpers" "$writer" "$KIND_VERSION" "$(os_release)" \
		"$(content_key "$HERE/lib/nodeimage.sh" "$HERE/node/manifests" "$ROOT/images/lib/rootfs.sh")" | sha256sum | cut -c1-16)
	image=planning-poker-node:$key
	tar=$CACHE/cluster/node/$key.tar
	printf '%s\n' "$image"
	docker_client image inspect "$image" >/dev/null 2>&1 && return
	if [[ ! -f $tar ]]; then
		need_programs mmdebstrap=mmdebstrap containerd=containerd jq=jq
		mkdir -p "$CACHE/cluster/node"
		# Keep only the newest image: it is the only large file in the cache.
		find "$CACHE/cluster/node" -name '*.tar' ! -name 'debian-*' -delete
		rm -rf "$STATE/build"
		mkdir -p "$STATE/build"
		BUILD=$STATE/build
		debian=$CACHE/cluster/node/debian-$(printf '%s\n' "$(os_release)" "${NODE_PACKAGES[*]}" | sha256sum | cut -c1-16).tar
		[[ -f $debian ]] || step "node image: Debian packages" bootstrap_debian "$debian"
		step "node image: unpack" unpack_debian "$debian"
		step "node image: kind's files and Kubernetes" install_kind_files "$kind_files" "$kube"
		step "node image: preloaded images" preload_images "$kube" "$helpers" "$writer"
		step "node image: pack" tar --numeric-owner --xattrs --xattrs-include='*' -C "$BUILD/root" -cf "$tar.part" .
		mv "$tar.part" "$tar"
		rm -rf "$BUILD"
	fi
	step "node image: import into Docker" import_node_image "$tar" "$image"
}

os_release() (
	# shellcheck source=/dev/null
	. /etc/os-release
	printf '%s %s\n' "$ID" "$VERSION_CODENAME"
)

bootstrap_debian() {
	local tar=$1 release sources=() file packages
	release=$(os_release)
	# The machine's own sources, so that no mirror is hard-coded.
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/{debian,ubuntu}.sources; do
		[[ ! -s $file ]] || sources+=("$file")
	done
	packages=$(IFS=, && printf '%s' "${NODE_PACKAGES[*]}")
	mmdebstrap --mode=root --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--format=tar "${release#* }" - "${sources[@]}" >"$tar.part"
	mv "$tar.part" "$tar"
}

unpack_debian() { mkdir "$BUILD/root" && tar --numeric-owner --xattrs --xattrs-include='*' -C "$BUILD/root" -xf "$1"; }

# The steps of kind's Dockerfile for the base image, and the changes that these machines need.
install_kind_files() {
	local files=$1 kube=$2 root=$BUILD/root file program
	while read -r file; do
		case $file in
		usr/local/bin/* | kind/bin/*) install -D -m 755 "$files/$file" "$root/$file" ;;
		*) install -D -m 644 "$files/$file" "$root/$file" ;;
		esac
	done < <(cd "$files" && find . -type f -printf '%P\n')
	rm -f "$root"/etc/systemd/system/containerd-fuse-overlayfs.service
	rm -rf "$root"/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* "$root"/etc/systemd/system/*.wants/* \
		"$root"/lib/systemd/system/sockets.target.wants/*{udev,initctl}* \
		"$root"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
	echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
	ln -sfn /usr/lib/systemd/systemd "$root/sbin/init"
	mkdir -p "$root/etc/kubernetes/manifests" "$root/opt/cni" "$root/kind/manifests"
	chroot "$root" systemctl enable kubelet.service containerd.service undo-mount-hacks.service
	chroot "$root" systemctl mask systemd-binfmt.service
	ln -sfn /usr/lib/cni "$root/opt/cni/bin"
	ln -sfn /usr/bin/containerd "$root/usr/local/bin/containerd"
	# A container's score cannot go below the daemon's where CAP_SYS_RESOURCE is missing: without
	# this every sandbox fails with "can't get final child's PID from pipe: EOF".
	sed -i '/^OOMScoreAdjust=/d' "$root/etc/systemd/system/containerd.service"
	sed -i -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true\n  disable_apparmor = true/' \
		-e "s|sandbox_image = .*|sandbox_image = \"$(pause_image "$kube")\"|" "$root/etc/containerd/config.toml"
	ctr oci spec | jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
		>"$root/etc/containerd/cri-base.json"
	install -m 755 "$kube/kube" "$root/usr/bin/kube"
	for program in kubeadm kubelet kubectl; do ln -sfn kube "$root/usr/bin/$program"; done
	printf '%s' "$KUBERNETES_VERSION" >"$root/kind/version"
	install -m 644 "$HERE/node/manifests/default-cni.yaml" "$root/kind/manifests/default-cni.yaml"
}

kubeadm_images() { "$1/kubeadm" config images list --kubernetes-version "$KUBERNETES_VERSION" 2>/dev/null; }
pause_image() { kubeadm_images "$1" | grep /pause:; }

# All programs of the control plane are one image with many names: those that kubeadm expects.
preload_images() {
	local kube=$1 helpers=$2 writer=$3 program names=() image
	local binaries=$BUILD/binaries tools=$BUILD/tools pause=$BUILD/pause
	mkdir -p "$binaries/usr/local/bin" "$pause"
	install -m 755 "$kube/kube" "$binaries/usr/local/bin/kube"
	for program in "${KUBE_PROGRAMS[@]}"; do ln -s kube "$binaries/usr/local/bin/$program"; done
	base_rootfs "$tools"
	SYSROOT=$BUILD/root add_programs "$tools" /usr/sbin/nft # for kube-proxy; the machine may not have it
	for image in $(kubeadm_images "$kube" | grep -v /pause:) localhost/node-network:1; do names+=(--name "$image"); done
	"$writer/image-writer" --out "$BUILD/kube.tar" "${names[@]}" --layer "$binaries" --layer "$tools" \
		--env PATH=/usr/local/bin:/usr/sbin:/usr/bin --entrypoint /usr/local/bin/coredns
	install -m 755 "$helpers/pause" "$pause/pause"
	"$writer/image-writer" --out "$BUILD/pause.tar" --name "$(pause_image "$kube")" --layer "$pause" --entrypoint /pause
	import_into_root
}

# The machine's containerd fills the image store of the node's containerd.
import_into_root() {
	local socket=$BUILD/containerd.sock pid digest
	cat >"$BUILD/containerd.toml" <<-TOML
		version = 2
		root = "$BUILD/root/var/lib/containerd"
		state = "$BUILD/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$socket"
	TOML
	containerd --config "$BUILD/containerd.toml" &
	pid=$!
	# shellcheck disable=SC2064 # this process
	trap "kill $pid" EXIT
	retry "$CONTAINERD_READY_SECONDS" ctr -a "$socket" version
	ctr -a "$socket" -n k8s.io images import "$BUILD/kube.tar"
	ctr -a "$socket" -n k8s.io images import "$BUILD/pause.tar"
	# Unpacked layers are enough to run, and Docker copies /var for every node.
	for digest in $(ctr -a "$socket" -n k8s.io content ls | awk '/MB/ { print $1 }'); do
		ctr -a "$socket" -n k8s.io content rm "$digest"
	done
	trap - EXIT
	kill "$pid"
	wait "$pid" || true
	awk -v build="$BUILD/" 'index($5, build) == 1 { print $5 }' /proc/self/mountinfo | xargs -r umount
}

import_node_image() {
	local tar=$1 image=$2
	docker_client import --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' \
		--change 'ENV container=docker' "$tar" "$image-root"
	# `docker import` takes no STOPSIGNAL; systemd ends on this one only.
	printf 'FROM %s\nSTOPSIGNAL SIGRTMIN+3\n' "$image-root" | docker_client build -t "$image" -
	# Delete images of earlier inputs; Docker keeps one that is in use.
	docker_client images --format '{{.Repository}}:{{.Tag}}' | grep '^planning-poker-node:' | grep -vF "$image" |
		xargs -r /usr/bin/env DOCKER_HOST="unix://$SOCKET" /usr/bin/docker rmi >/dev/null || true
}
