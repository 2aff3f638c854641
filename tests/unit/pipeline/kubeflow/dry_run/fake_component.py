"""A component that obeys the launcher's contract, in a process that starts in no time.

It notes what it was given in a journal, and does what a file of behaviour asks of its task besides.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def local(uri: str) -> Path:
    scheme, separator, key = uri.partition("://")
    if not separator:
        return Path(uri)
    return Path(os.environ["PETSEG_LAUNCHER_ROOT"]) / {"gs": "gcs"}.get(scheme, scheme) / key


def main(declared: list[str], task: str, argument: str) -> int:
    message = json.loads(argument)
    behaviour = json.loads(Path(os.environ["TF_FAKE_BEHAVIOUR"]).read_text())
    asked = behaviour.get(task, {})
    outputs = message["outputs"]
    given = {name: channel["artifacts"][0]["uri"] for name, channel in outputs.get("artifacts", {}).items()}
    inputs = message.get("inputs", {})
    paths = {name: local(channel["artifacts"][0]["uri"]) for name, channel in inputs.get("artifacts", {}).items()}
    seen = {
        "task": task,
        "input": message,
        "environment": dict(os.environ),
        "beside_inputs": {name: sorted(file.name for file in path.parent.iterdir()) for name, path in paths.items()},
        "found": {
            name: "a file" if local(uri).is_file() else "a parent" if local(uri).parent.is_dir() else "nothing"
            for name, uri in given.items()
            if not local(uri).is_dir()
        },
    }
    if "journal" in behaviour:
        with Path(behaviour["journal"]).open("a") as journal:
            journal.write(json.dumps(seen) + "\n")
    print(f"{task} writes to its log", flush=True)
    if "sleep" in asked:
        subprocess.run(["sleep", str(asked["sleep"])], check=False)  # in a process of its own, as workers of Beam do
    failures = Path(os.environ["TF_FAKE_BEHAVIOUR"]).with_name(f"{task}.failures")
    failed = int(failures.read_text()) if failures.exists() else 0
    if failed < asked.get("fail", 0) or failed < asked.get("lose", 0):
        failures.write_text(str(failed + 1))
        if "lose" in asked:
            os.kill(os.getpid(), signal.Signals[asked.get("by", "SIGKILL")])
        print(asked.get("say", "petseg 07:00:00 fake: failed: the split is empty"), flush=True)
        return asked.get("code", 1)
    artifacts = {}
    for name in sorted(set(given) & set(declared)):
        uri = given[name]
        if name != asked.get("no_output"):
            (local(uri) / "empty").mkdir(parents=True)
            (local(uri) / "data").write_text(f"{name} of {task}")
        if name == asked.get("one_file"):
            (local(uri) / "beside").touch()
            uri += "/data"
        metadata = {"splits": ["train", "eval"], "counts": {"train": 2}, "size": 3, "is_new": True}
        artifacts[name] = {"artifacts": [{"name": name, "uri": uri, "metadata": metadata | asked.get("metadata", {})}]}
    parameters = {name: behaviour.get("fingerprint", "f1") for name in outputs.get("parameters", {})}
    written = {"artifacts": artifacts, "parameterValues": parameters} | asked.get("output", {})
    Path(outputs["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    Path(outputs["outputFile"]).write_text(json.dumps(written))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--outputs") + 1].split(","), *sys.argv[-2:]))
