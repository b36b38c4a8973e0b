# shellcheck shell=bash
# How programs are built for each architecture; sourced by scripts/release/artifacts.
# shellcheck source=../../images/lib/architectures.sh
source images/lib/architectures.sh

die() {
  echo "error: $*" >&2
  exit 1
}

target_of() { echo "$(machine_of "$1")-unknown-linux-gnu"; }

# missing_for ARCH: what this machine lacks to build for ARCH and cannot install; nothing when it can build.
missing_for() {
  local machine target cross
  machine=$(machine_of "$1")
  target=$(target_of "$1")
  if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
    rustup target add "$target" >&2 || echo "Rust's standard library (rustup target add $target)"
  fi
  if [ "$1" != "$(host_arch)" ]; then
    cross=${machine/_/-}-linux-gnu
    scripts/need "gcc-$cross" "g++-$cross" "libc6-dev-$1-cross" >&2 ||
      echo "a C compiler and C library (apt-get install gcc-$cross g++-$cross libc6-dev-$1-cross)"
  fi
}

# buildable_arches: those of ARCHES; without it, those that this machine can build.
buildable_arches() {
  local arch missing found=()
  for arch in ${ARCHES:-amd64 arm64}; do
    missing=$(missing_for "$arch" | paste -sd, | sed 's|,|, |g')
    if [ -z "$missing" ]; then
      found+=("$arch")
    elif [ -n "${ARCHES:-}" ]; then
      die "cannot build for $arch, this is missing: $missing"
    else
      echo "warning: no artifacts for $arch, this is missing: $missing" >&2
    fi
  done
  [ ${#found[@]} -gt 0 ] || die "no architecture can be built"
  echo "${found[*]}"
}

# build_programs ARCH: librdkafka's configure script reads CC of the environment; for build scripts of the host, cc stays.
build_programs() {
  local arch=$1 machine target
  machine=$(machine_of "$arch")
  target=$(target_of "$arch")
  (
    if [ "$arch" != "$(host_arch)" ]; then
      local prefix=$machine-linux-gnu host
      host=$(target_of "$(host_arch)")
      export CC=$prefix-gcc CXX=$prefix-g++ AR=$prefix-ar RANLIB=$prefix-ranlib LD=$prefix-ld
      export "CC_${host//-/_}=cc" "AR_${host//-/_}=ar"
      local linker=CARGO_TARGET_${target^^}_LINKER
      export "${linker//-/_}=$prefix-gcc"
    fi
    cargo build --workspace --bins --locked --release --target "$target"
  )
}

# binary PROGRAM ARCH: where it was built.
binary() { echo "${CARGO_TARGET_DIR:?}/$(target_of "$2")/release/$1"; }
