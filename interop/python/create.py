"""Makes a v1 torrent with libtorrent: create.py CONTENT TORRENT"""

import os
import sys

import libtorrent as lt

content, torrent = map(os.path.abspath, sys.argv[1:])
creation = lt.create_torrent(lt.list_files(content), 0, lt.create_torrent.v1_only)
lt.set_piece_hashes(creation, os.path.dirname(content))
with open(torrent, "wb") as out:
    out.write(lt.bencode(creation.generate()))
