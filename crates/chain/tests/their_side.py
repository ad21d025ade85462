"""The Python side of l2_bittensor_wallet.rs: `write DIR` makes key files, `read DIR` reads those of the other side.

Its answer is DIR/answer.json, since the library itself prints to standard output.
"""

import ctypes
import json
import pathlib
import sys

from bittensor_wallet import Keyfile, Keypair, Wallet
from bittensor_wallet import keyfile as files

PASSWORD = "testpass123!"
MESSAGE = "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX:1700000000:sockets"


def write(folder):
    wallet = Wallet("theirs", "plain", str(folder))
    wallet.create_new_coldkey(use_password=True, coldkey_password=PASSWORD, suppress=True)
    wallet.create_new_hotkey(use_password=False, suppress=True)
    soft = Wallet("theirs", "soft", str(folder))
    soft.create_hotkey_from_uri("//Alice/soft", use_password=False, suppress=True)
    vault = wallet.hotkey_file.data
    vault = files.legacy_encrypt_keyfile_data(vault, PASSWORD)
    (folder / "theirs/hotkeys/vault").write_bytes(vault)

    wallet.coldkey_file.save_password_to_env(PASSWORD)
    variable = wallet.coldkey_file.env_var_name()
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return {
        "coldkey": wallet.coldkeypub.ss58_address,
        "plain": wallet.hotkey.ss58_address,
        "soft": soft.hotkey.ss58_address,
        "signature": bytes(wallet.hotkey.sign(MESSAGE)).hex(),
        "variable": variable,
        "value": getenv(variable.encode()).decode(),
    }


def verified(wanted):
    return Keypair(ss58_address=wanted["address"]).verify(MESSAGE, bytes.fromhex(wanted["signature"]))


def read(folder):
    ask = json.loads((folder / "ask.json").read_text())
    answer = {}
    for name, wanted in ask["hotkeys"].items():
        file = Keyfile(str(folder / "ours/hotkeys" / name), name)
        if file.is_encrypted():
            key = files.deserialize_keypair_from_keyfile_data(files.decrypt_keyfile_data(file.data, PASSWORD))
        else:
            key = file.keypair
        public = Keyfile(str(folder / "ours/hotkeys" / f"{name}pub.txt"), name).keypair
        answer[name] = [key.ss58_address, public.ss58_address, bytes(key.sign(MESSAGE)).hex(), verified(wanted)]
    wallet = Wallet("ours", "plain", str(folder))
    coldkey = wallet.get_coldkey(PASSWORD)
    answer["coldkey"] = [coldkey.ss58_address, wallet.coldkeypub.ss58_address, bytes(coldkey.sign(MESSAGE)).hex(), verified(ask["coldkey"])]
    return answer


folder = pathlib.Path(sys.argv[2])
answer = {"write": write, "read": read}[sys.argv[1]](folder)
(folder / "answer.json").write_text(json.dumps(answer))
