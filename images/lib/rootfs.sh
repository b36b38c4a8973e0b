# shellcheck shell=bash
# Root filesystems of images, filled from programs of this machine, or of the folder SYSROOT.
SYSROOT=${SYSROOT:-}

# base_rootfs DIR: what every dynamic program expects to find.
base_rootfs() {
	local dir=$1 link user
	mkdir -p "$dir"/{etc,tmp,var,usr/bin,usr/sbin,usr/lib,usr/lib64}
	chmod 1777 "$dir/tmp"
	for link in bin sbin lib lib64; do ln -sfn "usr/$link" "$dir/$link"; done
	# The users of the public images too: some programs ask for the name of their uid.
	for user in root:0 postgres:999 app:1000 nonroot:65532 nobody:65534; do
		printf '%s:x:%s:%s::/:/usr/sbin/nologin\n' "${user%:*}" "${user#*:}" "${user#*:}" >>"$dir/etc/passwd"
		printf '%s:x:%s:\n' "${user%:*}" "${user#*:}" >>"$dir/etc/group"
	done
	printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$dir/etc/nsswitch.conf"
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$dir/etc/hosts"
}

# add_programs DIR PROGRAM…: each program at its own path, with the libraries it needs.
add_programs() {
	local dir=$1 program
	shift
	for program in "$@"; do
		add_file "$dir" "$SYSROOT$program" "$program"
		add_libraries "$dir" "$SYSROOT$program"
	done
}

# add_file DIR SOURCE TARGET: TARGET is the path in the image; /lib, /bin … go below /usr.
add_file() {
	local dir=$1 source=$2 target=$3
	[[ $target =~ ^/(bin|sbin|lib|lib64)/ ]] && target=/usr$target
	install -D "$source" "$dir$target"
}

# add_libraries DIR FILE…: every shared library that the files need, and the loader. Libraries of a
# program's own, in folders of DIR named in OWN_FOLDERS, are there already.
add_libraries() {
	local dir=$1 library loader file libraries
	shift
	loader=$(compgen -G "$SYSROOT/lib64/ld-linux-*.so.*" || compgen -G "$SYSROOT/lib/ld-linux-*.so.*")
	add_file "$dir" "$loader" "${loader#"$SYSROOT"}"
	for file in "$@"; do
		libraries=$(list_libraries "$loader" "$file")
		for library in $libraries; do
			[[ $library == "$dir"/* ]] || add_file "$dir" "$library" "${library#"$SYSROOT"}"
		done
	done
}

list_libraries() {
	local folders=$1 loader=$1 file=$2
	folders=$(printf '%s:' "$SYSROOT"/usr/lib/*-linux-gnu)${OWN_FOLDERS:-}
	# A library that is missing here would be missing there.
	if "$loader" --library-path "$folders" --list "$file" 2>&1 | grep 'not found'; then
		die "$file needs libraries that are not installed"
	fi >&2
	"$loader" --library-path "$folders" --list "$file" 2>/dev/null | sed -nE 's|.*=> (/[^ ]+).*|\1|p' | sort -u
}

# add_tree DIR PATH: a folder as it is, links resolved.
add_tree() {
	mkdir -p "$1$(dirname "$2")"
	cp -rL --preserve=mode "$SYSROOT$2" "$1$2"
}
