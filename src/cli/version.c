/* What this binary is: its version, how it was built, and the libraries behind it, the linked ones
 * with the version that runs, the others with whether they could be loaded now.
 */
#include "cli/cli.h"
#include "engine/engine.h"
#include "io/loop.h"
#include "net/net.h"
#include "store/store.h"
#include "yaml/yaml.h"

static const struct {
    const char *name;
    const char *(*version)(void);
} libraries[] = {
    {"libuv", io_uv_version},          {"jansson", value_jansson_version},
    {"libyaml", yaml_library_version}, {"sqlite", store_sqlite_version},
    {"zstd", store_zstd_version},      {"xxhash", hash_xxhash_version},
};

/* The libraries that are loaded with their first use. */
static void put_late(struct cli *c) {
    struct net_library l;
    for (size_t i = 0; net_library_get(i, &l); i++) {
        sink_printf(&c->out, "%s for %s: %s%s\n", l.soname, l.needed_for,
                    l.present ? "present" : "missing, install ", l.present ? "" : l.package);
    }
}

int version_print(struct cli *c) {
    sink_printf(&c->out, "cairn %s\n", CAIRN_VERSION);
    if (!cli_has(c, "verbose")) {
        return 0;
    }
    sink_printf(&c->out, "store format %d, scheduling rules %u\n", STORE_FORMAT_VERSION,
                ENGINE_RULES);
    sink_printf(&c->out, "build %s, compiler %s\n", CAIRN_BUILD, __VERSION__);
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
        sink_printf(&c->out, "%s %s\n", libraries[i].name, libraries[i].version());
    }
    put_late(c);
    return 0;
}
