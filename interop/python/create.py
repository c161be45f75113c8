"""Makes a v1 torrent with libtorrent and prints its info-hash: create.py CONTENT TORRENT [TRACKER]..."""

import os
import sys

import libtorrent as lt

content, torrent = map(os.path.abspath, sys.argv[1:3])
creation = lt.create_torrent(lt.list_files(content), 0, lt.create_torrent.v1_only)
lt.set_piece_hashes(creation, os.path.dirname(content))
for tracker in sys.argv[3:]:
    creation.add_tracker(tracker)
encoded = lt.bencode(creation.generate())
with open(torrent, "wb") as out:
    out.write(encoded)
print(lt.torrent_info(lt.bdecode(encoded)).info_hashes().v1)
