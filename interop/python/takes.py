"""Prints whether libtorrent takes a torrent: takes.py TORRENT"""

import sys

import libtorrent as lt

try:
    lt.torrent_info(sys.argv[1])
    print("good")
except RuntimeError as error:
    print(error)
