/* Python steps as forks of a zygote: which steps may be one, and what the zygote runs.
 *
 * The zygote is the program of code_python.c with more behind it: it imports what the workflow
 * preloads and forks when it is asked (io/launcher_zygote.c says how). A fork is told apart from a
 * program that was started for the step by nothing but what was imported. It ends without taking
 * the interpreter apart, unless something would be told of the end by that.
 * The first step of a process is no fork when it looks like the only one (code_data.repeats) and no
 * modules are preloaded.
 * Invariant: a step whose environment holds what counts when an interpreter starts, and one in a
 * sandbox, is never a fork.
 */
#include "node/code_priv.h"

/* clang-format off */
static const char *const zygote_lines[] = {
    "import _socket, atexit, gc, io, types",
    "",
    "def preload(folder, names):",
    "    # what to tell the steps instead of running them, or nothing",
    "    sys.path.insert(0, folder)",
    "    for name in names:",
    "        try:",
    "            __import__(name)",
    "        except Exception as e:",
    "            return 'preload: %s cannot be imported: %s: %s' % (name, type(e).__name__, e)",
    "        if len(sys._current_frames()) > 1:",
    "            return ('preload: %s starts a thread when it is imported, which steps would not '",
    "                    'have: leave it out, and import it in the code' % name)",
    "    del sys.path[0]",
    "",
    "def shown_environment():",
    "    # where /proc/self/environ is read from, which is the same in every fork",
    "    with open('/proc/self/stat', 'rb') as f:",
    "        return map(int, f.read().rpartition(b')')[2].split()[47:49])",
    "",
    "def lay_environment(texts):",
    "    shown, room = b'\\0'.join(texts), shown_end - shown_start",
    "    if len(shown) >= room:",
    "        # what others look for comes first",
    "        shown = b'\\0'.join(sorted(texts, key=lambda t: t[:14] not in first))",
    "        shown = shown[:shown.rfind(b'\\0', 0, room)]",
    "    memory = os.open('/proc/self/mem', os.O_WRONLY | os.O_CLOEXEC)",
    "    os.pwrite(memory, shown.ljust(room, b'\\0'), shown_start)",
    "    os.close(memory)",
    "",
    "def warm():",
    "    # what every step does: in the zygote so that forks have what the interpreter learns",
    "    # from it, in a spare so that its memory is its own before it is a step",
    "    mine = sys.modules['__main__']",
    "    job = load('{\"names\":{\"a\":1},\"function\":null,\"file\":\"/\",'",
    "               '\"code\":\"\\\\nb = [a]\\\\nreturn b\"}')",
    "    perform(job, job['code'])",
    "    sys.modules['__main__'] = mine",
    "    lay_environment(shown_token)",
    "    os.path.abspath(job['file'])",
    "    sys.stdout.reconfigure(line_buffering=True)",
    "    quick(gc.get_objects())",
    "",
    "def become(own):",
    "    # waits as a spare until it is told which step it is",
    "    data, parts, _, _ = own.recvmsg(32768, 256)",
    "    if not data: os._exit(0)",
    "    own.close()",
    "    count, texts = int.from_bytes(data[4:8], sys.byteorder), data[8:].split(b'\\0')",
    "    at = (1, 2, 0, 3)",
    "    for _, _, part in parts:",
    "        for n in range(0, len(part), 4):",
    "            fd = int.from_bytes(part[n:n + 4], sys.byteorder)",
    "            os.dup2(fd, at[n // 4], n < 12)",
    "            os.close(fd)",
    "    os.chdir(texts[count])",
    "    del texts[count:]",
    "    lay_environment(texts)",
    "    for text in texts:",
    "        name, _, value = text.partition(b'=')",
    "        os.putenv(name, value)",
    "        os.environ._data[name] = value",
    "    random = sys.modules.get('numpy.random')",
    "    if random: random.seed()",
    "",
    "def make_spares(control, count, waited):",
    "    # in each of them returns its socket and whether it can be warmed, else not at all",
    "    for n in range(count):",
    "        own, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)",
    "        pid = os.fork()",
    "        if not pid:",
    "            control.close()",
    "            other.close()",
    "            return own, n >= waited",
    "        fd = other.fileno().to_bytes(4, sys.byteorder)",
    "        control.sendmsg([pid.to_bytes(4, sys.byteorder)],",
    "                        [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd)])",
    "        own.close()",
    "        other.close()",
    "    os._exit(0)",
    "",
    "def fork_twice(control, count, waited):",
    "    # True in each spare: it is a fork of a fork that ends, so it is the launcher's child",
    "    try:",
    "        pid = os.fork()",
    "    except OSError:",
    "        return False",
    "    if pid:",
    "        os.waitpid(pid, 0)",
    "        return False",
    "    try:",
    "        own, early = make_spares(control, count, waited)",
    "    except OSError:",
    "        os._exit(1)",
    "    os.setsid()",
    "    if early: warm()",
    "    become(own)",
    "    return True",
    "",
    "def serve(folder, names):",
    "    # returns in each fork",
    "    import _json",
    "    control = _socket.socket(fileno=os.dup(3))",
    "    os.dup2(0, 3)",
    "    global first, shown_start, shown_end, shown_token, plain",
    "    first = (b'CAIRN_ATTEMPT=', b'CAIRN_IDEMPOTE')",
    "    shown_start, shown_end = shown_environment()",
    "    trouble = preload(folder, names) if names else None",
    "    shown_token = [b'CAIRN_ATTEMPT=' + os.environb[b'CAIRN_ATTEMPT']]",
    "    lay_environment(shown_token)",
    "    os.environ.clear()",
    "    sys.stdout.flush()",
    "    plain = {t for t in set(map(type, gc.get_objects()))",
    "             if not issubclass(t, io.IOBase) and not tells(t)}",
    "    plain.update((int, str, bytes, float, bool))",
    "    gc.freeze()",
    "    ready = False",
    "    while True:",
    "        order = control.recv(2)",
    "        if not order: os._exit(0)",
    "        if fork_twice(control, *order): return trouble",
    "        control.send(bytes(4))",
    "        if not ready:",
    "            # the first step did not wait for this",
    "            import _ast, resource",
    "            warm()",
    "            gc.freeze()",
    "            ready = True",
    "",
    "def tells(kind):",
    "    # its objects are told of the end by a method in Python",
    "    return any(type(vars(base).get('__del__')) is types.FunctionType",
    "               for base in kind.__mro__)",
    "",
    "def quick(found):",
    "    # all that is left to be done at the end is to write what waits in buffers: does that",
    "    if len(found) > 20000 or len(sys._current_frames()) > 1: return False",
    "    kinds = set(map(type, found)) - plain",
    "    if any(map(tells, kinds)): return False",
    "    files = {t for t in kinds if issubclass(t, io.IOBase)}",
    "    if not files <= {io.TextIOWrapper, io.BufferedWriter, io.BufferedReader,",
    "                     io.BufferedRandom, io.FileIO}: return False",
    "    left = [f for f in found if type(f) in files and not f.closed]",
    "    left.sort(key=lambda f: type(f) is not io.TextIOWrapper)",
    "    for f in left: f.flush()",
    "    for f in (sys.stdout, sys.__stdout__, sys.stderr): f.flush()",
    "    return True",
    "",
    "def end(status):",
    "    threading = sys.modules.get('threading')",
    "    if threading: threading._shutdown()",
    "    atexit._run_exitfuncs()",
    "    try:",
    "        if quick(gc.get_objects()): os._exit(status)",
    "    except Exception:",
    "        pass",
    "    sys.exit(status)",
    "",
    "def run():",
    "    trouble = serve(sys.argv[1], sys.argv[2:])",
    "    if trouble:",
    "        answer(dump({'error': {'message': printable(trouble), 'type': 'preload',",
    "                               'permanent': True}}).encode())",
    "        return 1",
    "    try:",
    "        return main()",
    "    except SystemExit as e:",
    "        if e.code is None: return 0",
    "        if type(e.code) is not int: raise",
    "        return e.code & 255",
    "",
    "end(run())",
    NULL};
/* clang-format on */

/* Variables that count when an interpreter or a library starts. */
static bool counts_at_start(struct str name) {
    static const char *const begins[] = {"PYTHON",  "LD_",    "LC_",      "LANG",
                                         "MALLOC_", "GLIBC_", "OPENSSL_", "SSL_"};
    static const char *const names[] = {"PATH", "HOME", "TZ", "VIRTUAL_ENV"};
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        if (str_starts(name, str_from(begins[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool code_may_fork(const struct code_job *job) {
    const struct code_data *d = job->data;
    if (d->language == NULL || !d->language->forks || d->sandbox) {
        return false;
    }
    for (size_t i = 0; job->env.type == VALUE_MAP && i < value_count(job->env); i++) {
        if (counts_at_start(value_str(job->env.pairs[i].key))) {
            return false;
        }
    }
    return true;
}

static const char **make_argv(const struct code_job *job, struct str base_dir, struct arena *a) {
    const struct code_data *d = job->data;
    const char **argv = ARENA_ARRAY(a, 7 + d->preload_count, const char *);
    struct str program = code_runner_text(d->language, true, zygote_lines, a);
    struct str folder = arena_str(a, d->preload_count > 0 ? base_dir : STR("/"));
    if (argv == NULL || program.ptr == NULL || folder.ptr == NULL) {
        return NULL;
    }
    size_t count = 0;
    argv[count++] = d->language->program;
    argv[count++] = "-X";
    argv[count++] = "utf8";
    argv[count++] = d->language->option;
    argv[count++] = program.ptr;
    argv[count++] = folder.ptr;
    for (uint32_t i = 0; i < d->preload_count; i++) {
        argv[count++] = d->preload[i].ptr;
    }
    return argv;
}

static void inherit(const char **env, size_t *count, const struct step_port *port, const char *name,
                    const char *otherwise, struct arena *a) {
    const char *value = code_inherited(port, name, otherwise);
    if (value != NULL) {
        env[(*count)++] = arena_printf(a, "%s=%s", name, value).ptr;
    }
}

bool code_zygote_make(const struct code_job *job, const struct step_port *port, struct arena *a,
                      struct io_zygote_spec *out) {
    if (!code_may_fork(job)) {
        return false;
    }
    const char **env = ARENA_ARRAY(a, 4, const char *);
    *out = (struct io_zygote_spec){.argv = make_argv(job, port->base_dir, a),
                                   .env = env,
                                   .from_second =
                                       job->data->preload_count == 0 && !job->data->repeats};
    if (env == NULL || out->argv == NULL) {
        return false;
    }
    size_t count = 0;
    inherit(env, &count, port, "PATH", CODE_PATH, a);
    inherit(env, &count, port, "LANG", CODE_LANG, a);
    inherit(env, &count, port, "HOME", NULL, a);
    for (size_t i = 0; i < count; i++) {
        if (env[i] == NULL) {
            return false;
        }
    }
    return true;
}
