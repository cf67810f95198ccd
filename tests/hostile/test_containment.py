"""Files, other students, the network: what a student's code can't reach."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import After, attack, left, run, well

import autograder
from autograder.judging.student import Student

SECRET = "hidden-value-of-the-gradebook-4711"


@pytest.fixture
def gradebook() -> Iterator[Path]:
    """Not in /tmp, of which every worker has its own: a folder that is open to all, files too."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = Path(folder) / "gradebook.db"
        path.write_text(SECRET)
        path.chmod(0o666)
        path.parent.chmod(0o777)
        yield path


# ---------------------------------------------------------------- files

READS = {
    "by its name": "print(open(PATH).read())",
    "through a link": "os.symlink(PATH, 'link'); print(open('link').read())",
    "through a hard link": "os.link(PATH, 'link'); print(open('link').read())",
    "through the root of another process": (
        "for pid in range(0, 400):\n"
        "    for name in (pid, 'self', 'thread-self'):\n"
        "        try: print(open(f'/proc/{name}/root{PATH}').read())\n"
        "        except OSError: pass\n"
    ),
    "through a file left open": (
        "for fd in range(0, 1000):\n"
        "    try: print(os.pread(fd, 1000, 0)); os.lseek(fd, 0, 0)\n"
        "    except OSError: pass\n"
        "    try:\n"
        "        there = os.open('../' * 9 + PATH.strip('/'), os.O_RDONLY, dir_fd=fd)\n"
        "        print(os.read(there, 1000))\n"
        "    except OSError: pass\n"
    ),
    "by another program": (
        "import subprocess\n"
        "print(subprocess.run(['/bin/cat', PATH], capture_output=True, text=True).stdout)"
    ),
    "by a way out of the root": (
        "for _ in range(20):\n    os.chdir('..')\n"
        "try: os.chroot('.')\nexcept OSError: pass\n"
        "print(open(PATH.strip('/')).read())"
    ),
    "after mounting it": (
        "import ctypes\nlibc = ctypes.CDLL(None)\nos.mkdir('m')\n"
        "libc.unshare(0x10020000)\n"
        "libc.mount(b'/', b'm', None, 4096 | 16384, None)\n"
        "libc.umount2(b'/tmp', 2)\nlibc.umount2(b'/proc', 2)\n"
        "print(open('m' + PATH).read(), open(PATH).read())"
    ),
}


@pytest.mark.parametrize("how", READS)
def test_a_gradebook_is_not_read(sandbox, gradebook, how):
    after = attack(sandbox, f"import os\nPATH = {str(gradebook)!r}\n{READS[how]}")
    assert after.status in ("ran", "FileNotFoundError", "PermissionError")
    assert SECRET not in after.said + after.message


WRITES = {
    "the file": "open(PATH, 'w').write('198/5')",
    "a new file beside it": "open(PATH + '-journal', 'w').write('198/5')",
    "through a link": "os.symlink(PATH, 'link'); open('link', 'w').write('198/5')",
    "a new folder there": "os.makedirs(os.path.dirname(PATH)); open(PATH, 'w').write('198/5')",
    "by its database": (
        "import sqlite3; c = sqlite3.connect(PATH); c.execute('create table t (x)'); c.commit()"
    ),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_gradebook_is_not_changed(sandbox, gradebook, what):
    before = sorted(gradebook.parent.iterdir())
    after = attack(sandbox, f"import os\nPATH = {str(gradebook)!r}\n{WRITES[what]}")
    assert after.status in ("FileNotFoundError", "OSError", "PermissionError", "OperationalError")
    assert gradebook.read_text() == SECRET
    assert sorted(gradebook.parent.iterdir()) == before


def test_nothing_outside_its_scratch_can_be_written(sandbox):
    """Packages and our own files above all: the next student imports them."""
    after = attack(
        sandbox,
        "import os, sys, torch\n"
        "for top in ('/', *sys.path, os.path.dirname(torch.__file__), '/dev', '/usr', '/proc',\n"
        "            '/runtime/autograder/judging', '/runtime/course_utils', sys.prefix):\n"
        "    if not top: continue\n"
        "    for path in (top + '/sitecustomize.py', top + '/__init__.py'):\n"
        "        try: open(path, 'a').close(); print('wrote', path)\n"
        "        except OSError: pass\n"
        "    try: os.chmod(top, 0o777); print('chmod', top)\n"
        "    except OSError: pass\n"
        "    try: os.rename(top, top + 'x'); print('renamed', top)\n"
        "    except OSError: pass\n",
    )
    assert after == After("ran")


def test_hidden_checks_can_not_be_imported(sandbox):
    after = attack(
        sandbox,
        "import importlib, sys\n"
        "sys.path += ['/work', '/runtime', sys.prefix]\n"
        "for name in ('autograder.checks', 'autograder.checks.hw_prompt', 'autograder.grade',\n"
        "             'autograder.judging.judge', 'autograder.judging.student',\n"
        "             'autograder.evidence', 'autograder.policy', 'autograder.paired'):\n"
        "    try: importlib.import_module(name); print('imported', name)\n"
        "    except ModuleNotFoundError: pass\n",
    )
    assert after == After("ran")


def test_hidden_checks_are_nowhere_on_its_disk(sandbox):
    """A search of everything it can see, for files by name and for text that only checks have."""
    assert list(Path(autograder.__file__).parent.glob("checks/*.py")), "nothing to be found"
    after = attack(
        sandbox,
        "import os\n"
        "for top in ('/runtime', '/work', '/root', '/home', '/tmp', '/srv', '/opt', '/usr'):\n"
        "    for folder, folders, files in os.walk(top):\n"
        "        if folder.endswith('site-packages'):\n"
        "            folders[:] = [f for f in folders if f[:4] in ('auto', 'cour', 'peft')]\n"
        "        if folder == '/usr': folders.remove('share')\n"
        "        if folder.endswith(('autograder/checks', 'assignments/source')):\n"
        "            print('folder', folder, files)\n"
        "        for name in files:\n"
        "            if name.startswith(('hw_prompt', 'hw_adapter')) and name.endswith('.py'):\n"
        "                print('file', folder, name)\n"
        "            if name in ('gradebook.db', 'policy.toml', 'judge.py'):\n"
        "                print('file', folder, name)\n",
        seconds=60,
    )
    assert after == After("ran")


def test_hidden_checks_are_not_in_the_memory_it_inherits(sandbox):
    after = attack(
        sandbox,
        "import gc, sys\n"
        "print([n for n in sys.modules if 'checks' in n and 'autograder' in n])\n"
        "print([n for n in sys.modules if n.startswith('autograder.judging')])\n"
        "gc.unfreeze()\n"
        "print(sum(type(o).__name__ in ('Check', 'Checks', 'Judgement', 'Draw')\n"
        "          for o in gc.get_objects() if 'autograder' in str(type(o).__module__)))\n",
    )
    modules = [f"autograder.judging{end}" for end in ("", ".worker", ".plms", ".wire", ".frame")]
    first, second, third = after.said.splitlines()
    assert (first, third) == ("[]", "0")
    assert set(eval(second)) == set(modules)


def test_of_our_environment_and_files_nothing_is_inherited(sandbox):
    after = attack(
        sandbox,
        "import os\n"
        "opened = []\n"
        "for fd in range(3000):\n"
        "    try: os.fstat(fd); opened.append(fd)\n"
        "    except OSError: pass\n"
        "print(opened, [n for n in os.environ if 'SECRET' in n or 'PYTEST' in n])\n",
    )
    assert after == After("ran", "[0, 1, 2, 3, 4] []\n")


# ---------------------------------------------------------------- other students


@pytest.fixture
def pair(sandbox):
    """Two students at the same time; the second must be alive afterwards."""
    one, other = (Student(sandbox.connect(), seconds=10) for _ in range(2))
    run(other, "import os\nstate = 'mine'\nopen('/tmp/answer', 'w').write('private-answer')\n"
               "open('/dev/shm/answer', 'w').write('private-answer')")  # fmt: skip
    yield one, other
    after = run(other, "print(state, open('/tmp/answer').read(), open('/dev/shm/answer').read())")
    one.close()
    other.close()
    assert after == After("ran", "mine private-answer private-answer\n")
    assert left(sandbox) == 0
    assert well(sandbox)


SIGNALS = {
    "its group": "os.kill(0, 9)",
    "everybody": "os.kill(-1, 9)",
    "every number": (
        "for n in range(1, 40000):\n"
        "    try: os.kill(n, 9)\n"
        "    except (ProcessLookupError, PermissionError): pass"
    ),
    "every group": (
        "for n in range(1, 40000):\n"
        "    try: os.killpg(n, 9)\n"
        "    except (ProcessLookupError, PermissionError): pass"
    ),
    "its parent": "os.kill(os.getppid() or -1, 9)",
    "as a child of another session": (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import os; os.kill(-1, 9)'],"
        " start_new_session=True)"
    ),
}


@pytest.mark.parametrize("whom", SIGNALS)
def test_signals_reach_no_other_student(pair, whom):
    one, _ = pair
    after = run(one, f"import os\n{SIGNALS[whom]}")
    assert after.status in ("ran", "crashed", "ProcessLookupError")


def test_files_in_tmp_and_shared_memory_are_private(pair):
    one, _ = pair
    after = run(
        one,
        "import os\n"
        "for top in ('/tmp', '/dev/shm'):\n"
        "    for folder, _, files in os.walk(top): print(folder, files)\n",
    )
    assert "answer" not in after.said


def test_another_is_not_traced(pair):
    one, other = pair
    after = run(
        one,
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(os.listdir('/proc'))\n"
        "buffer = ctypes.create_string_buffer(8)\n"
        "class V(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
        "v = V(ctypes.cast(buffer, ctypes.c_void_p), 8)\n"
        "for pid in range(0, 40000):\n"
        "    if libc.ptrace(16, pid, 0, 0) == 0: print('traced', pid)\n"
        "    if libc.process_vm_readv(pid, ctypes.byref(v), 1, ctypes.byref(v), 1, 0) > 0:\n"
        "        print('read', pid)\n",
    )
    assert after == After("ran", "[]\n")


def test_no_memory_of_its_parent_can_be_opened(pair):
    one, _ = pair
    after = run(
        one,
        "import os\n"
        "os.makedirs('p', exist_ok=True)\n"
        "for name in ('self', 'thread-self', 1, 2, 3, os.getppid()):\n"
        "    for what in ('mem', 'maps', 'environ', 'cmdline', 'fd', 'ns/user'):\n"
        "        try: os.stat(f'/proc/{name}/{what}'); print(name, what)\n"
        "        except OSError: pass\n",
    )
    assert after == After("ran")


CALLS = [
    "socket.socket(socket.AF_UNIX).bind('\\0meet-me')",
    "socket.socket(socket.AF_UNIX).connect('\\0meet-me')",
    "os.memfd_create('x')",
    "check(libc.shmget(4711, 4096, 0o1666))",
    "check(libc.msgget(4711, 0o1666))",
    "check(libc.semget(4711, 1, 0o1666))",
    "check(libc.mq_open(b'/meet', 66, 0o666, None))",
    "check(libc.unshare(0x10000000))",
    "check(libc.setns(3, 0))",
    "check(libc.ptrace(0, 0, 0, 0))",
    "check(libc.syscall(425, 1, 0))",  # io_uring_setup; the next: bpf
    "check(libc.syscall(321, 0, 0, 0))",
    "check(libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0))",  # clone, with a user namespace
    "check(libc.syscall(250, 0, -3, 0))",  # keyctl; the next: pidfd_getfd
    "check(libc.sethostname(b'x', 1))",
    "os.pidfd_open(1) and check(libc.syscall(438, os.pidfd_open(1), 3, 0))",
]


def test_calls_between_processes_are_refused(sandbox):
    """One after the other in the same worker, so that none profits from another."""
    after = attack(
        sandbox,
        "import ctypes, os, socket\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def check(n):\n"
        "    if n < 0: raise OSError(ctypes.get_errno(), 'refused')\n"
        f"for call in {CALLS!r}:\n"
        "    try: exec(call); print('done', call)\n"
        "    except PermissionError: pass\n"
        "    except OSError as other: print(other, call)\n",
    )
    assert after == After("ran")


# ---------------------------------------------------------------- the network


@pytest.fixture
def listener():
    """A service of the grader's machine; `reached` tells whether anybody called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        reached = threading.Event()

        def wait() -> None:
            try:
                server.accept()[0].close()
                reached.set()
            except OSError:
                return

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        yield server.getsockname()[1], reached
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


NETWORK = {
    "connect": "socket.create_connection(('127.0.0.1', PORT), 2)",
    "a request": "import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{PORT}/')",
    "a name": "socket.getaddrinfo('localhost', PORT); socket.gethostbyname('example.org')",
    "a datagram": "socket.socket(2, 2).sendto(b'x', ('127.0.0.1', PORT))",
    "listen": "socket.create_server(('0.0.0.0', PORT + 1))",
    "another program": (
        "import subprocess, sys\n"
        "code = 'import socket; socket.create_connection((\"127.0.0.1\", %d))' % PORT\n"
        "subprocess.run([sys.executable, '-c', code], check=True)"
    ),
}


@pytest.mark.parametrize("how", NETWORK)
def test_the_network_is_not_there(sandbox, listener, how):
    port, reached = listener
    after = attack(sandbox, f"import socket\nPORT = {port}\n{NETWORK[how]}")
    assert after.status in ("OSError", "URLError", "gaierror", "CalledProcessError")
    assert not reached.is_set()


def test_a_unix_socket_of_the_machine_is_not_reached(sandbox, tmp_path):
    path = tmp_path / "s"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    server.settimeout(0.1)
    after = attack(sandbox, f"import socket\nsocket.socket(1).connect({str(path)!r})")
    with pytest.raises(TimeoutError):
        server.accept()
    server.close()
    assert after.status == "PermissionError"


# ---------------------------------------------------------------- and honest work


def test_honest_work_runs(sandbox):
    """What reads about the processor, keeps temporary files, draws, or starts a program."""
    student = Student(sandbox.connect(), seconds=60)
    source = (
        "import subprocess, tempfile, torch\n"
        "from course_utils import LoRA, attach, load_plm\n"
        "model, tokenizer = load_plm('pocket-bert', head='classifier', num_labels=2)\n"
        "tuned = attach(model, LoRA(rank=2))\n"
        "loss = tuned(**tokenizer(['a b'], return_tensors='pt')).logits.sum()\n"
        "loss.backward()\n"
        "with tempfile.TemporaryDirectory() as folder: torch.save(loss, folder + '/x')\n"
        "print(subprocess.run(['echo', 'said'], capture_output=True, text=True).stdout)\n"
    )
    after = run(student, source, 60)
    student.close()
    assert after == After("ran", "said\n\n")


def test_a_lost_worker_stays_lost(sandbox):
    student = Student(sandbox.connect(), seconds=10)
    assert [run(student, "import os; os._exit(0)").status for _ in range(2)] == ["crashed"] * 2
    student.close()
