"""What a machine for the gate is made of: a Debian root, its kernel, and a GPIO chip. Built once, then kept.

The cache (`$GATEVAULT_VM`, else `$XDG_CACHE_HOME/gatevault-vm`) holds, under a name that changes with this file and
with Debian's kernel:

    base/      Debian 12 as mmdebstrap makes it, with systemd, udev, TPM tools, and the kernel's modules
    vmlinuz    Debian's kernel for it
    initrd     busybox and the modules that mount the root

The kernel's simulated GPIO chip is not in Debian's kernel. Its two source files (GPL-2.0) are taken out of Debian's
own linux-source package at build time, changed in two places, and compiled against Debian's headers.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
"""Its Python is 3.11, of which every dependency has wheels, lgpio's among them."""

KERNEL: Final = "6.12"
"""Of Debian 12's own security suite: a chip, a TPM and a camera driver as Raspberry Pi OS has them now."""

PACKAGES: Final = (
    *("systemd-sysv", "udev", "dbus", "kmod", "procps", "iproute2"),
    *("python3", "python3-venv", "python3-evdev"),
    *("tpm2-tools", "libtss2-tcti-device0", "tpm-udev", "v4l-utils"),
)

PROGRAMS: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "swtpm": "swtpm",
    "swtpm_setup": "swtpm-tools",
    "mke2fs": "e2fsprogs",
    "cpio": "cpio",
    "gcc": "gcc",
    "make": "make",
    "depmod": "kmod",
}
BUSYBOX: Final = Path("/bin/busybox")

BOOT_MODULES: Final = ("virtio_blk", "ext4")
DRIVERS: Final = (
    *("drivers/block", "drivers/virtio", "drivers/input", "drivers/media", "drivers/char", "drivers/hid"),
    *("fs", "crypto", "lib", "arch", "net/core", "net/unix", "net/netfilter", "sound/core"),
)
"""Folders of modules that go into the root; graphics, networks and disks of other machines do not."""

SOURCES: Final = ("drivers/gpio/gpio-sim.c", "kernel/irq/irq_sim.c")

FREED: Final = "\t\t__assign_bit(offset, chip->value_map,\n\t\t\t     !!test_bit(offset, chip->pull_map));\n"
"""What gpio-sim does with a line that its owner frees: it falls back to its pull."""

CHANGES: Final = {
    # A module may not ask for a descriptor; this function of the kernel asks for it.
    "irq_sim.c": {"handle_simple_irq(irq_to_desc(irqnum));": "generic_handle_irq(irqnum);"},
    # Raspberry Pi OS leaves a freed output driven as it was, and so does this chip: else every killed daemon's
    # relay would read as released whoever released it.
    "gpio-sim.c": {FREED: f"\t\tif (test_bit(offset, chip->direction_map))\n\t{FREED}"},
}


def missing() -> list[str]:
    """Debian packages that this needs and the host has not; "root" where we are not root; "x86-64" elsewhere."""
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program, path=_path()) is None]
    if not BUSYBOX.exists():
        lacking.append("busybox-static")
    if platform.machine() != "x86_64":
        lacking.append("an x86-64 host")
    if os.geteuid() != 0:
        lacking.append("root (to make a root file system with its owners)")
    return lacking


def cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("GATEVAULT_VM") or home / "gatevault-vm")


class Root:
    """The built parts. `build()` takes some four minutes the first time and nothing after it."""

    def __init__(self) -> None:
        recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
        self.folder = cache() / f"root-{recipe}"
        self.base, self.kernel, self.initrd = (self.folder / name for name in ("base", "vmlinuz", "initrd"))

    def build(self) -> None:
        if self.initrd.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        work = self.folder / "work"
        work.mkdir(parents=True)
        run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, self.base, *_sources())
        release = self._fetch_kernel(work)
        self._compile(work, release)
        self._modules(work, release)
        (work / f"boot/vmlinuz-{release}").rename(self.kernel)
        self._initrd(work / "initrd", release)
        shutil.rmtree(work)

    def _fetch_kernel(self, work: Path) -> str:
        """Kernel, headers and source as Debian's packages, unpacked in `work`; gives the kernel's release."""
        depends = out("apt-cache", "depends", f"linux-image-{KERNEL}-amd64")
        release = re.findall(r"Depends: linux-image-(\S+)", depends)[0]
        common = f"linux-headers-{release.removesuffix('-amd64')}-common"
        kbuild = f"linux-kbuild-{release.removesuffix('-amd64')}"
        wanted = [f"linux-image-{release}", f"linux-headers-{release}", common, kbuild, f"linux-source-{KERNEL}"]
        run("apt-get", "download", *wanted, cwd=work)
        for deb in sorted(work.glob("linux-*.deb")):
            run("dpkg-deb", "-x", deb, work)
        return release

    def _compile(self, work: Path, release: str) -> None:
        """The simulated chip, into `work`'s modules."""
        sim = work / "sim"
        sim.mkdir()
        top = f"linux-source-{KERNEL}"
        files = [f"{top}/{name}" for name in SOURCES]
        run("tar", "-xJf", work / f"usr/src/{top}.tar.xz", "--strip-components=3", *files, cwd=sim)
        for name, changes in CHANGES.items():
            text = (sim / name).read_text()
            for before, after in changes.items():
                if text.count(before) != 1:
                    raise RuntimeError(f"{name} of {top} is not as expected: look at CHANGES")
                text = text.replace(before, after)
            (sim / name).write_text(text)
        (sim / "Kbuild").write_text("obj-m := gpio-simulated.o\ngpio-simulated-y := gpio-sim.o irq_sim.o\n")
        headers = work / "usr/src" / f"linux-headers-{release}"
        common = work / "usr/src" / f"linux-headers-{release.removesuffix('-amd64')}-common"
        (headers / "Makefile").write_text(f"include {common}/Makefile\n")
        config = headers / ".kernelvariables"
        if config.exists():
            config.write_text(config.read_text().replace("/usr/lib/", f"{work}/usr/lib/"))
        for link in (headers / "scripts", headers / "tools", common / "scripts", common / "tools"):
            if link.is_symlink():
                link.unlink()
                link.symlink_to(work / f"usr/lib/linux-kbuild-{release.removesuffix('-amd64')}" / link.name)
        run("make", "-C", headers, f"M={sim}", "CC=gcc", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules")
        extra = work / f"lib/modules/{release}/extra"
        extra.mkdir()
        shutil.copy(sim / "gpio-simulated.ko", extra)

    def _modules(self, work: Path, release: str) -> None:
        """What the machine's drivers need, into the root."""
        source, target = work / f"lib/modules/{release}", self.base / f"usr/lib/modules/{release}"
        target.mkdir(parents=True)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(source / name, target)
        for folder in (*(f"kernel/{name}" for name in DRIVERS), "extra"):
            if (source / folder).is_dir():
                shutil.copytree(source / folder, target / folder)
        run("depmod", "-b", self.base, release)

    def _initrd(self, tree: Path, release: str) -> None:
        for folder in ("bin", "dev", "proc", "sys", "new", "modules"):
            (tree / folder).mkdir(parents=True)
        shutil.copy(BUSYBOX, tree / "bin/busybox")
        lines = []
        for module in BOOT_MODULES:
            needed = out("modprobe", "-d", self.base, "-S", release, "--show-depends", module)
            for path in re.findall(r"^insmod (\S+)", needed, re.M):
                name = Path(path).name.removesuffix(".xz")
                (tree / "modules" / name).write_bytes(_unpacked(Path(path)))
                lines.append(f"/bin/busybox insmod /modules/{name}")
        (tree / "init").write_text(INIT.format(insmod="\n".join(dict.fromkeys(lines))))
        (tree / "init").chmod(0o755)
        names = "\0".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
        archive = subprocess.run(
            ["cpio", "--null", "--create", "--format=newc", "--quiet"],
            cwd=tree, input=names.encode(), capture_output=True, check=True,
        )  # fmt: skip
        self.initrd.write_bytes(archive.stdout)


INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox mount -t devtmpfs none /dev
{insmod}
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /new || exec /bin/busybox sh
for m in proc sys dev; do /bin/busybox mount --move /$m /new/$m; done
exec /bin/busybox switch_root /new /sbin/init
"""


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a program gently. RuntimeError tells what it said."""
    words = ["nice", "-n", "5", *map(str, command)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env=_environment())
    if done.returncode:
        said = (done.stderr or done.stdout)[-3000:]
        raise RuntimeError(f"{' '.join(words[3:])[:300]} failed ({done.returncode}):\n{said}")


def out(*command: str | Path) -> str:
    """What a program prints."""
    words: Sequence[str] = [*map(str, command)]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=_environment()).stdout


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": _path(), "LC_ALL": "C.UTF-8"}


def _sources() -> list[str]:
    """The host's own Debian mirrors where it is a Debian of this suite; else mmdebstrap's default."""
    own = Path("/etc/apt/sources.list.d/debian.sources")
    return [str(own)] if own.exists() and SUITE in own.read_text() else []


def _unpacked(module: Path) -> bytes:
    if module.suffix != ".xz":
        return module.read_bytes()
    return subprocess.run(["xz", "-dc", module], capture_output=True, check=True).stdout


def main() -> int:
    """Say what is missing here; 1 where something is."""
    if lacking := missing():
        sys.stderr.write(f"make test-vm needs {', '.join(lacking)}: apt install what is a package of these.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
