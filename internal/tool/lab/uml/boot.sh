# Boots a User-Mode Linux and runs a script in it, in namespaces of its own:
#
#	unshare --mount --pid --fork --kill-child sh boot.sh MEMORY MODULE... <SCRIPT
#
# The script is the first process of the kernel; its input and output are the
# console. Its root is the host's, which is only read: what is written goes into
# memory, and ends with the kernel. MEMORY is as 256M. Who ends this shell ends all
# of it.
memory=$1
shift
mount --make-rprivate / && mount -t tmpfs -o mode=0755 tmpfs /mnt &&
	mount -o remount,bind,ro / && mount -t proc proc /proc &&
	mkdir /mnt/uml /mnt/guest && cat >/mnt/script && echo "$@" >/mnt/modules || exit 1
cat >/mnt/init <<'END'
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
modules=/usr/lib/uml/modules
mount -n -t proc proc /proc
insmod $modules/"$(uname -r)"/kernel/fs/overlayfs/overlay.ko
mount -n -t tmpfs tmpfs /mnt/guest
cp /mnt/script /mnt/modules /mnt/guest
cd /mnt/guest
mkdir upper work root
mount -n -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mv ../script .script
rm -rf usr/lib/modules
ln -s $modules usr/lib/modules
mount -n --move /proc proc
mount -n --move /dev dev
mount -n -t sysfs sysfs sys
mount -n -t tmpfs -o mode=0755 tmpfs run
mkdir dev/shm dev/pts
ln -s /proc/self/fd dev/fd
mount -n -t tmpfs -o mode=1777 tmpfs dev/shm
mount -n -t devpts devpts dev/pts
stty -onlcr <dev/console
dmesg -n 1
set -- $(cat ../modules)
[ $# = 0 ] || chroot . modprobe -a "$@" || { echo o >proc/sysrq-trigger; sleep 60; }
ip link set lo up
# A child of switch_root complains at its leisure that the old root stays, which is
# not what the script prints.
exec switch_root . /bin/sh -c 'exec /bin/sh /.script 2>&1' 2>dev/kmsg
END
# Not by exec: a first process cannot abort.
TMPDIR=/mnt linux.uml mem="$memory" root=/dev/root rootfstype=hostfs ro init=/bin/sh con=null con0=fd:0,fd:1 \
	uml_dir=/mnt/uml security=none quiet -- /mnt/init </dev/null
