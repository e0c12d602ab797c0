#!/usr/bin/env python3
"""Runs the commands of README.md in their order, and fails if one does not do what the page says.

A comment before each block of commands says how:

    <!-- run: PATTERN -->    its output must match the regular expression PATTERN
    <!-- server -->          it starts a server, which must become ready, and which ends with this script
    <!-- skip: REASON -->    it is not run

The script replaces the port 8001 and the folder .agent-runtime by free ones, so that it disturbs nothing.
"""
import os, pathlib, re, signal, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:<!-- (?P<how>run|server|skip)(?:: (?P<text>.*?))? -->\n+)?```sh\n(?P<commands>.*?)```", re.DOTALL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(server, url, log):
    deadline = time.monotonic() + 1800  # the first build takes minutes
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"the server did not become ready:\n{log.read_text()}")


def main():
    port, servers = free_port(), []
    work = pathlib.Path(tempfile.mkdtemp(prefix="readme-"))
    environment = os.environ | {"PORT": str(port), "AGENT_RUNTIME__DATA_DIR": str(work / "data")}
    try:
        for block in BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8")):
            commands, how, text = block["commands"].strip(), block["how"], block["text"] or ""
            first = commands.splitlines()[0]
            if how is None:
                sys.exit(f"no comment says how to run: {first}")
            if how == "skip":
                print(f"skipped ({text}): {first}")
                continue
            print(f"{how}: {first}", flush=True)
            script = commands
            for shown, used in (("8001", port), (".agent-runtime", work / "data"), ("part.txt", work / "part.txt")):
                script = script.replace(shown, str(used))
            if how == "server":
                log = work / "server.log"
                output = {"stdout": log.open("w"), "stderr": subprocess.STDOUT}
                servers.append(subprocess.Popen(["bash", "-c", script], cwd=ROOT, env=environment, start_new_session=True, **output))
                wait_until_ready(servers[-1], f"http://127.0.0.1:{port}/health/ready", log)
            else:
                options = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "timeout": 1800}
                result = subprocess.run(["bash", "-c", script], **options)
                if result.returncode != 0 or not re.search(text, result.stdout):
                    output = f"{result.stdout}\n{result.stderr}"
                    sys.exit(f"exit code {result.returncode}, expected output that matches {text}:\n{output}")
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)
        subprocess.run(["rm", "-rf", str(work)], check=False)
    print("every command of README.md does what it says")


main()
