"""The key file is made once, for its owner alone, and known again."""

import json
import stat

import pytest

from remit.audit import KeyFile
from remit.errors import KeysMissing, StoreError


def test_created_keys_are_loaded_back(tmp_path):
    path = tmp_path / "remit.keys"
    keys = KeyFile.create(path)
    assert KeyFile.load(path) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (keys.epoch, keys.tenant_key) == (1, keys.tenant_keys[1])
    assert keys.signing_key.public_key().public_bytes_raw() == keys.public_key


def test_a_key_file_is_never_overwritten(tmp_path):
    path = tmp_path / "remit.keys"
    KeyFile.create(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="never overwritten"):
        KeyFile.create(path)
    assert path.read_bytes() == before


def test_a_missing_file_says_that_none_is_made(tmp_path):
    with pytest.raises(KeysMissing, match="restore the file"):
        KeyFile.load(tmp_path / "remit.keys")


def test_fingerprints_tell_keys_apart_and_nothing_shows_a_key(tmp_path):
    first, second = KeyFile.create(tmp_path / "1"), KeyFile.create(tmp_path / "2")
    assert not set(first.fingerprints.values()) & set(second.fingerprints.values())
    secrets = [first.signing_seed.hex(), first.lookup_key.hex(), first.tenant_key.hex(), repr(first.lookup_key)]
    assert not any(secret in repr(first) for secret in secrets)


@pytest.mark.parametrize(
    "damage", [lambda c: c.pop("lookup_key"), lambda c: c.update(tenant_keys={}), lambda c: c.update(signing_seed="ab")]
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "remit.keys"
    KeyFile.create(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content))
    KeyFile.load(path)
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError):
        KeyFile.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"tenant_keys": 1}'])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "remit.keys").write_text(text)
    with pytest.raises(StoreError, match="not a key file"):
        KeyFile.load(tmp_path / "remit.keys")


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(StoreError, match="can't be created"):
        KeyFile.create(tmp_path / "absent" / "remit.keys")


def test_a_rotation_adds_an_epoch_and_then_leaves_the_others_out_of_the_file(tmp_path):
    path = tmp_path / "remit.keys"
    first = KeyFile.create(path)
    second = first.with_next_epoch()
    second.save()
    assert KeyFile.load(path) == second and list(second.tenant_keys) == [1, 2]
    assert [second.epoch_named(one.fingerprints["tenant"]) for one in (first, second)] == [1, 2]
    assert first.epoch_named(second.fingerprints["tenant"]) is None
    linked = tmp_path / "old"
    linked.hardlink_to(path)  # whoever kept the old file by another name
    second.of_last_epoch().save()
    assert list(KeyFile.load(path).tenant_keys) == [2]
    assert first.tenant_key.hex() not in path.read_text()
    assert set(linked.read_bytes()) == {0}, "it was overwritten, not merely unlinked"
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["old", "remit.keys"]


@pytest.mark.parametrize("change", [KeyFile.with_next_epoch, KeyFile.with_next_signing])
def test_a_link_stays_when_keys_are_rotated_and_what_it_leads_to_is_replaced(tmp_path, change):
    (tmp_path / "safe").mkdir()
    kept, link = tmp_path / "safe" / "kept.keys", tmp_path / "remit.keys"
    before = KeyFile.create(kept).fingerprints
    link.symlink_to(kept)
    changed = change(KeyFile.load(link))
    changed.save()
    assert link.is_symlink() and not kept.is_symlink()
    assert KeyFile.load(kept) == KeyFile.load(link) == changed
    assert KeyFile.load(kept).fingerprints["lookup"] == before["lookup"]
    assert [one.name for one in kept.parent.iterdir()] == ["kept.keys"]


def test_the_next_signing_key_takes_the_place_of_the_one_before(tmp_path):
    keys = KeyFile.create(tmp_path / "remit.keys").with_next_signing()
    keys.save()
    loaded = KeyFile.load(tmp_path / "remit.keys")
    old, new = loaded.signing_keys
    assert loaded == keys and old == loaded.fingerprints["signing"]
    after = loaded.of_next_signing()
    assert (after.fingerprints["signing"], list(after.signing_keys), after.next_signing_seed) == (new, [new], None)
