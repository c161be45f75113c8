"""A libtorrent client with one torrent, over plain TCP: peer.py TORRENT SAVE [--listen IP] [--peer PORT] [--upload-limit N]

Says in lines of JSON how it is doing. Ends when its standard input closes, or after 30 minutes.
"""

import argparse
import json
import select
import sys
import time

import libtorrent as lt

parser = argparse.ArgumentParser()
parser.add_argument("torrent")
parser.add_argument("save")
parser.add_argument("--listen", default="127.0.0.1")
parser.add_argument("--peer", type=int, action="append", default=[])
parser.add_argument("--upload-limit", type=int, default=0)
options = parser.parse_args()


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


session = lt.session({
    "listen_interfaces": f"{options.listen}:0",
    "allow_multiple_connections_per_ip": True,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": int(lt.enc_policy.disabled),
    "out_enc_policy": int(lt.enc_policy.disabled),
    "min_reconnect_time": 1,
    "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.peer_notification
    | lt.alert.category_t.storage_notification,
})
parameters = lt.load_torrent_file(options.torrent)
parameters.save_path = options.save
parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
parameters.upload_limit = options.upload_limit
parameters.peers = [("127.0.0.1", port) for port in options.peer]
torrent = session.add_torrent(parameters)

# Until the check is over it would turn connections away.
end = time.monotonic() + 30 * 60
listening = flushing = False
last = None
earlier = {}
running = {}


def received():
    """Payload by address, over all connections."""
    global running
    now = {peer.ip: peer.total_download for peer in torrent.get_peer_info()}
    for endpoint, total in running.items():
        if total > now.get(endpoint, 0):
            earlier[endpoint[0]] = earlier.get(endpoint[0], 0) + total
    running = now
    sums = dict(earlier)
    for endpoint, total in now.items():
        sums[endpoint[0]] = sums.get(endpoint[0], 0) + total
    return sums


while time.monotonic() < end:
    readable, _, _ = select.select([sys.stdin], [], [], 0.1)
    if readable and not sys.stdin.readline():
        break
    flushed = False
    for alert in session.pop_alerts():
        say("alert", what=alert.what(), message=alert.message())
        flushed = flushed or isinstance(alert, lt.cache_flushed_alert)
    status = torrent.status()
    checked = status.state not in (
        lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
    if checked and not listening and session.listen_port() != 0:
        listening = True
        say("listening", address=f"{options.listen}:{session.listen_port()}")
    fields = {"downloaded_bytes": status.total_payload_download,
              "uploaded_bytes": status.total_payload_upload,
              "pieces_have": status.num_pieces, "peers": status.num_peers,
              "failed_bytes": status.total_failed_bytes, "received": received()}
    if fields != last:
        last = fields
        say("progress", **fields)
    # What it has must be in the files before somebody compares them: the alert says that it is.
    if flushing and flushed:
        say("finished", **fields)
    if status.is_seeding and not flushing:
        flushing = True
        torrent.flush_cache()
