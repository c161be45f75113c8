"""Makes a torrent with libtorrent: creation.py CONTENT TORRENT v1|v2|hybrid PIECE_SIZE

Files of v1 torrents come in the order of their path components, which is also that of file trees. Prints whether
libtorrent takes what it made.
"""

import os
import sys

import libtorrent as lt

content, torrent = map(os.path.abspath, sys.argv[1:3])
flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[sys.argv[3]]
files = sorted(lt.list_files(content), key=lambda file: os.fsencode(file.filename).split(b"/"))
creation = lt.create_torrent(files, int(sys.argv[4]), flags)
lt.set_piece_hashes(creation, os.path.dirname(content))
encoded = lt.bencode(creation.generate())
with open(torrent, "wb") as out:
    out.write(encoded)
try:
    lt.torrent_info(lt.bdecode(encoded))
    print("good")
except RuntimeError as error:
    print(error)
