"""The Python side of l2_bittensor_drand.rs: one JSON question on standard input, its answer on standard output.

The folder of another version of the library may be named, which is then used instead.
"""

import json
import sys
import time

if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])
import bittensor_drand as drand


def seal(message, round):
    return drand.encrypt_at_round(bytes.fromhex(message), round)[0].hex()


def unseal(sealed, signature):
    return drand.decrypt_with_signature(bytes.fromhex(sealed), signature).hex()


def rounds(commits):
    """The round of each commit, and between which times it was found."""
    make = getattr(drand, "get_encrypted_commit_v2", None) or drand.get_encrypted_commit
    for commit in commits:
        before = time.time()
        _, round = make(uids=[1], weights=[65535], version_key=0, block_time=12.0, hotkey=bytes(32), **commit)
        yield {"round": round, "from": before, "to": time.time()}


question = json.load(sys.stdin)
answer = {
    "seal": lambda: seal(*question["seal"]),
    "unseal": lambda: unseal(*question["unseal"]),
    "rounds": lambda: list(rounds(question["rounds"])),
}
json.dump([answer[name]() for name in question], sys.stdout)
