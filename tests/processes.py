"""Which processes are alive: for tests that kill a build."""

from pathlib import Path


def alive_in_session(leader: int) -> list[int]:
    """Processes of a session that are alive (field 6 of /proc/PID/stat is the session)."""
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                alive.append(int(entry.name))
    return alive
