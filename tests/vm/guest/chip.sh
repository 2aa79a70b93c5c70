#!/bin/sh
# In the machine: one simulated GPIO chip of 54 lines, as many as a Raspberry Pi 4 has. It becomes /dev/gpiochip0.
set -e
modprobe gpio-simulated
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/pi
mkdir -p $chip/bank
echo 54 > $chip/bank/num_lines
echo 1 > $chip/live
udevadm settle
