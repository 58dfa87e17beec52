#!/bin/sh
# ChromeOS's name for: the system that runs is good.
exec slotctl good
