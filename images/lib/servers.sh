# shellcheck shell=bash disable=SC2153,SC2034
# Images of the servers, for tests on machines that cannot pull the public ones. Each honours the
# environment and arguments of its public image that the operator uses.

REDIS_VERSION=7.0.15
KAFKA_VERSION=4.3.1
POSTGRES_VERSION=15
PROMETHEUS_VERSION=3.13.5 # its Go module calls it v0.313.5

DEBIAN_PACKAGES=(libc6 dash tzdata redis-tools redis-server postgresql-15)
JAVA_MODULES=java.base,java.logging,java.management,java.naming,java.rmi,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.management,jdk.net,jdk.unsupported
TRAINING_SECONDS=90

server_tag() {
	case $1 in
	redis) echo "$REDIS_VERSION" ;;
	kafka) echo "$KAFKA_VERSION" ;;
	postgres) echo "$POSTGRES_VERSION" ;;
	prometheus) echo "$PROMETHEUS_VERSION" ;;
	esac
}

# debian_files: takes the servers' files out of their packages; no service is installed or started.
debian_files() {
	local file sources=() packages
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/{debian,ubuntu}.sources; do
		[[ ! -s $file ]] || sources+=("$file") # the machine's own sources: no mirror is named here
	done
	packages=$(IFS=, && printf '%s' "${DEBIAN_PACKAGES[*]}")
	mmdebstrap --mode=root --variant=extract --include="$packages" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
		"$1" "$2" "${sources[@]}"
}

# expect_version ROOTFS TEXT PROGRAM…: runs the program in the finished root, which proves that no file
# is missing and that the version is that of the tag.
expect_version() {
	local root=$1 want=$2 got
	shift 2
	got=$(chroot "$root" "$@" 2>&1) || die "$1 does not run in its image: $got"
	[[ $got == *"$want"* ]] || die "this machine's packages give another version than $want: $got (these images are made on Debian 12; elsewhere use the public images)"
}

add_shell() {
	add_programs "$1" /usr/bin/dash
	ln -s dash "$1/usr/bin/sh"
}

redis_image() {
	local root=$1 name
	base_rootfs "$root"
	add_programs "$root" /usr/bin/redis-check-rdb /usr/bin/redis-cli
	for name in redis-server redis-sentinel redis-check-aof; do ln -s redis-check-rdb "$root/usr/bin/$name"; done
	add_shell "$root"
	install -D -m 755 "$IMAGES/redis/redis-server" "$root/usr/local/bin/redis-server"
	mkdir -p "$root/data"
	expect_version "$root" "v=$REDIS_VERSION" redis-server --version
	IMAGE=(--cmd redis-server --user 999:999 --own /data=999:999 --workdir /data --env PATH=/usr/local/bin:/usr/bin)
}

# prometheus_folder: Debian's Prometheus cannot discover pods; this one discovers pods, files and HTTP
# only, which leaves most of its modules out, and has no web page.
prometheus_folder() {
	local module=v0.${PROMETHEUS_VERSION/./}
	grep -qF "prometheus/prometheus $module " "$IMAGES/prometheus/go.mod" || die "images/prometheus/go.mod: require github.com/prometheus/prometheus $module, or change PROMETHEUS_VERSION"
	build_module prometheus "$IMAGES/prometheus" github.com/prometheus/prometheus/cmd/prometheus \
		"-X github.com/prometheus/common/version.Version=$PROMETHEUS_VERSION" remove_all_sd,enable_kubernetes_sd
}

prometheus_image() {
	local root=$1 folder
	folder=$(prometheus_folder)
	base_rootfs "$root"
	add_file "$root" "$folder/prometheus" /bin/prometheus
	if [[ -f /etc/ssl/certs/ca-certificates.crt ]]; then
		add_file "$root" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
	fi
	mkdir -p "$root/prometheus" "$root/etc/prometheus"
	printf 'global: {scrape_interval: 15s}\n' >"$root/etc/prometheus/prometheus.yml"
	expect_version "$root" "version $PROMETHEUS_VERSION" prometheus --version
	IMAGE=(--entrypoint /bin/prometheus --cmd --config.file=/etc/prometheus/prometheus.yml --cmd --storage.tsdb.path=/prometheus
		--user 65534:65534 --own /prometheus=65534:65534 --workdir /prometheus)
}

postgres_image() {
	local root=$1 base=/usr/lib/postgresql/15 name
	base_rootfs "$root"
	add_shell "$root"
	for name in postgres initdb pg_ctl pg_isready pg_dump psql; do add_programs "$root" "$base/bin/$name"; done
	add_tree "$root" "$base/lib"
	rm -rf "$root$base/lib"/{llvmjit*,bitcode,pgxs}
	add_libraries "$root" "$root$base/lib"/*.so
	add_tree "$root" /usr/share/postgresql/15
	add_tree "$root" /usr/share/zoneinfo
	rm -rf "$root"/usr/share/postgresql/15/man "$root"/usr/share/zoneinfo/{right,posix}
	install -D -m 755 "$IMAGES/postgres/entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
	mkdir -p "$root"/var/{lib/postgresql/data,run/postgresql}
	expect_version "$root" " $POSTGRES_VERSION." "$base/bin/postgres" --version
	IMAGE=(--entrypoint /usr/local/bin/docker-entrypoint.sh --cmd postgres --user 999:999 --own /var/lib/postgresql/data=999:999 --own /var/run/postgresql=999:999
		--env "PATH=/usr/local/bin:/usr/bin:$base/bin" --env PGDATA=/var/lib/postgresql/data --stop-signal SIGINT)
}

# The Java runtime and the class archive are the machine's own, not Debian_files'.
kafka_image() {
	local root=$1 work=$2 class_path name
	base_rootfs "$root"
	add_shell "$root"
	mkdir -p "$root"/{opt/kafka,proc,dev,var/lib/kafka/data}
	jlink --add-modules "$JAVA_MODULES" --strip-debug --no-header-files --no-man-pages --compress=2 --vm=server --output "$root/opt/java"
	# zstd's library asks for these by name, as old programs do.
	# shellcheck disable=SC2046 # a list of paths without blanks
	OWN_FOLDERS=$root/opt/java/lib:$root/opt/java/lib/server add_libraries "$root" $(find "$root/opt/java" -name '*.so') /usr/lib/*-linux-gnu/lib{pthread,dl,rt,stdc++}.so.?
	for name in pthread dl rt; do add_file "$root" "$(echo /usr/lib/*-linux-gnu/lib$name.so.?)" "$(echo /usr/lib/*-linux-gnu/lib$name.so.?)"; done
	cp "$IMAGES/kafka/pom.xml" "$work"
	(cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$root/opt/kafka/libs")
	javac -cp "$root/opt/kafka/libs/*" -d "$work/classes" "$IMAGES/kafka/Start.java"
	cp "$IMAGES/kafka/simplelogger.properties" "$work/classes"
	jar --create --file "$root/opt/kafka/libs/start.jar" -C "$work/classes" .
	class_path=$(cd "$root" && printf '/%s\n' opt/kafka/libs/*.jar | LC_ALL=C sort | paste -sd:)
	sed "s|CLASS_PATH\"|$class_path\"|" "$IMAGES/kafka/run" >"$root/opt/kafka/run"
	chmod 755 "$root/opt/kafka/run"
	# The class archive holds only for files of the same time: images have none but the epoch.
	find "$root/opt" -exec touch -h -d @0 {} +
	ROOTFS=$root TRAINING_SECONDS=$TRAINING_SECONDS unshare --mount --net --pid --fork bash "$IMAGES/kafka/train"
	rm -rf "$root"/tmp/* "$root/tmp/".[!.]*
	IMAGE=(--cmd /opt/kafka/run --user 1000:1000 --own /var/lib/kafka/data=1000:1000 --workdir / --env PATH=/opt/java/bin:/usr/bin)
}
