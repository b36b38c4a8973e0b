# shellcheck shell=bash
# Programs built from Go modules, cached by a hash of their sources.

KUBE_PROGRAMS=(coredns etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl kubelet node-network)
TOOLS=$CACHE/cluster/tools # what `cluster tools` prints: kubectl, helm, kind

need_go() {
	command -v go >/dev/null || die "Go is missing: install Go 1.25 or newer (it downloads a newer toolchain if it needs one)"
}

# go_cached NAME KEY: the folder for the build of NAME from inputs KEY.
go_cached() {
	local name=$1 key
	key=$(printf '%s\n' "$2" "$(go env GOVERSION GOARCH)" | sha256sum | cut -c1-16)
	printf '%s/cluster/go/%s-%s' "$CACHE" "$name" "$key"
}

# build_module NAME DIR PACKAGE [LDFLAGS [TAGS]]: prints the folder with the built binary NAME.
build_module() {
	local name=$1 dir=$2 package=$3 ldflags="-s -w ${4:-}" tags=${5:-} out
	need_go
	out=$(go_cached "$name" "$(content_key "$dir") $package $ldflags${tags:+ $tags}")
	if [[ ! -x $out/$name ]]; then
		mkdir -p "$out"
		step "build $name" go_build "$dir" "$out/$name" "$package" "$ldflags" "$tags"
	fi
	printf '%s\n' "$out"
}

go_build() {
	cd "$1" || return
	# -v prints each package as it is compiled, to show progress in a long build.
	CGO_ENABLED=0 go build -v -trimpath -buildvcs=false -tags "$5" -ldflags "$4" -o "$2.part" "$3"
	mv "$2.part" "$2"
}

# install_tool NAME PACKAGE VERSION: the same for a published program.
install_tool() {
	local name=$1 package=$2 version=$3 out
	need_go
	out=$(go_cached "$name" "$package@$version")
	if [[ ! -x $out/$name ]]; then
		mkdir -p "$out"
		step "build $name $version" env CGO_ENABLED=0 GOBIN="$out" go install -v "$package@$version"
	fi
	printf '%s\n' "$out"
}

# kube_folder: prints the folder with links from every Kubernetes program to one binary.
kube_folder() {
	local out program v=k8s.io/component-base/version
	local minor=${KUBERNETES_VERSION#v*.}
	out=$(build_module kube "$HERE/kube" . \
		"-X $v.gitVersion=$KUBERNETES_VERSION -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*} -X $v.gitTreeState=clean")
	for program in "${KUBE_PROGRAMS[@]}"; do
		[[ -L $out/$program ]] || ln -sfn kube "$out/$program"
	done
	printf '%s\n' "$out"
}

writer_folder() { build_module image-writer "$ROOT/images/writer" .; }

# helm_program: prints the path of Helm, which needs no cluster to check and package charts.
helm_program() {
	local helm
	helm=$(install_tool helm helm.sh/helm/v4/cmd/helm "$HELM_VERSION")
	printf '%s\n' "$helm/helm"
}

# tools_folder: one folder for PATH with the programs that tests and people call.
tools_folder() {
	local kube kind helm
	kube=$(kube_folder)
	kind=$(install_tool kind sigs.k8s.io/kind "$KIND_VERSION")
	helm=$(helm_program)
	mkdir -p "$TOOLS"
	ln -sfn "$kube/kubectl" "$TOOLS/kubectl"
	ln -sfn "$kind/kind" "$TOOLS/kind"
	ln -sfn "$helm" "$TOOLS/helm"
	printf '%s\n' "$TOOLS"
}
