"""Runs a command so that nothing of it outlives whoever started it.

Usage: supervise.py PARENT_PID COMMAND [ARGUMENT...]

The command leads a process group of its own, and the supervisor is the reaper of everything that it leaves behind
(Lambda environments, Terraform providers). All of it is killed when the command ends, when the supervisor is told to
stop, and when its parent dies, by SIGKILL included. A death signal on each grandchild could not do this: Linux sends
it when the *thread* that forked ends, and MiniStack starts Lambda environments from threads that come and go.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option, value):
    """Best effort: outside Linux the group is still killed on every orderly end."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        pass


def kill_all(command):
    """Kills the command's group, then whatever the supervisor inherited from it, until nothing is left."""
    try:
        os.killpg(command, signal.SIGKILL)
    except ProcessLookupError:
        pass
    while True:
        for orphan in children():
            try:
                os.kill(orphan, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children():
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as listing:
            return [int(child) for child in listing.read().split()]
    except OSError:
        return []


def main():
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    stops = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # Held back until there is a command to stop.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:  # It died before the death signal was set.
        return 1

    supervisor = os.getpid()
    command = os.fork()
    if command == 0:
        os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
        try:
            os.execvp(arguments[0], arguments)
        except OSError as problem:
            print(f"{arguments[0]}: {problem}", file=sys.stderr, flush=True)
            os._exit(127)

    def stop(number, _frame):
        kill_all(command)
        os._exit(128 + number)

    for number in stops:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    while True:
        ended, status = os.wait()
        if ended == command:
            break
    kill_all(command)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
