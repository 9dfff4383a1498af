/* Who runs executions on a store: the rows of hosts, after those of dead ones were removed.
 *
 * A process's launcher executes this when the process was killed, so that also who looks into the
 * store without our locks (sqlite3, the view executions_now) sees at once that its owner is gone.
 * Never here: taking anything over.
 */
#include "cli/db_hosts.h"

static struct value host_value(struct arena *a, const struct store_host *h) {
    struct value_builder b;
    char since[TIME_RFC3339_BYTES];
    time_print_rfc3339(h->registered, since);
    value_builder_init(&b, a);
    value_map_add(&b, STR("id"), value_int(h->id));
    value_map_add(&b, STR("pid"), value_int(h->pid));
    value_map_add(&b, STR("machine"), value_text(h->hostname));
    value_map_add(&b, STR("since"), value_text(arena_str(a, str_from(since))));
    value_map_add(&b, STR("executions"), value_int(h->executions));
    return value_map_done(&b);
}

static void print_json(struct cli *c, const struct store_host *hosts, uint32_t count,
                       uint32_t gone) {
    struct value_builder b, items;
    value_builder_init(&b, &c->arena);
    value_builder_init(&items, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        value_list_add(&items, host_value(&c->arena, &hosts[i]));
    }
    value_map_add(&b, STR("items"), value_list_done(&items));
    value_map_add(&b, STR("removed"), value_int(gone));
    cli_print_json(c, value_map_done(&b));
}

static void put(struct buf *b, struct str text, uint32_t columns) {
    uint32_t width = text_width(text);
    text_clean(b, text);
    text_pad(b, 2 + (columns > width ? columns - width : 0));
}

static void print_table(struct cli *c, const struct store_host *hosts, uint32_t count) {
    enum { ID = 6, PID = 8, MACHINE = 20, SINCE = 19 };
    struct arena *a = &c->arena;
    struct buf b, date;
    buf_init(&b, 0);
    buf_init(&date, 0);
    put(&b, STR("HOST"), ID);
    put(&b, STR("PID"), PID);
    put(&b, STR("MACHINE"), MACHINE);
    put(&b, STR("SINCE"), SINCE);
    buf_append_cstr(&b, "EXECUTIONS\n");
    for (uint32_t i = 0; i < count; i++) {
        put(&b, arena_printf(a, "%lld", (long long)hosts[i].id), ID);
        put(&b, arena_printf(a, "%lld", (long long)hosts[i].pid), PID);
        put(&b, hosts[i].hostname, MACHINE);
        text_date(&date, hosts[i].registered);
        put(&b, buf_str(&date), SINCE);
        buf_reset(&date);
        buf_printf(&b, "%u\n", hosts[i].executions);
    }
    sink_flush(&c->out, &b);
    buf_fini(&date);
    buf_fini(&b);
}

int db_hosts(struct session *s) {
    struct cli *c = s->cli;
    struct store_host *hosts;
    uint32_t count = 0, gone = 0;
    struct error e = {0};
    if (cli_exclude(c, "quiet", "json", "--quiet prints nothing")) {
        return err_exit_code(ERR_USAGE);
    }
    enum err err = store_hosts_sweep(s->store, &gone, &e);
    err = err ? err : store_host_list(s->store, &c->arena, &hosts, &count, &e);
    if (err) {
        return cli_fail_error(c, &e, NULL);
    }
    if (cli_has(c, "quiet")) {
        return 0;
    }
    if (cli_has(c, "json")) {
        print_json(c, hosts, count, gone);
        return 0;
    }
    if (count) {
        print_table(c, hosts, count);
    } else {
        sink_printf(&c->err, "nobody runs anything\n");
    }
    if (gone) {
        sink_printf(&c->err, "removed %u that %s gone\n", gone, gone == 1 ? "is" : "are");
    }
    return 0;
}
