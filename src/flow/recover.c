/* `recover`: what is done about a failure that nothing else handles, in order. Read here for the
 * workflow and for a node; a node without one has the workflow's. The table below has how each
 * entry is written, engine/recover.c what it does.
 */
#include "flow/flow_priv.h"

enum { ASK_TIMES = 3 }; /* of an ask with on_timeout: retry that says nothing */

#define TARGET_HELP "write {rollback: NODE}, or {rollback: \"@NAME\"} with the name of a checkpoint"

static const int64_t times_range[2] = {1, 1000};

typedef void (*read_fn)(struct unit *u, const struct yaml_node *map, struct plan_recover *out);

static void read_short(struct unit *u, const struct yaml_node *map, const char *key,
                       struct str *out) {
    const struct yaml_node *n = yaml_get(map, str_from(key));
    struct str text;
    if (n && flow_text_get(u, n, key, &text)) {
        *out = flow_keep_str(u->s, text);
        if (str_find(text, STR("{{"), 0) != SIZE_MAX) {
            struct diag_item *item = diag_error(u->s->diag, n->mark, "bad_value",
                                                "\"%s\": a text here is no template", key);
            diag_help(u->s->diag, item, "the failure itself is added to what the person reads");
        }
    }
}

static void read_ask(struct unit *u, const struct yaml_node *map, struct plan_recover *out) {
    static const char *const keys[] = {"ask", "assignee", "timeout", "on_timeout", "times", NULL};
    static const char *const words[] = {"next", "fail", "retry", NULL};
    const struct yaml_node *timeout = yaml_get(map, STR("timeout"));
    const struct yaml_node *on_timeout = yaml_get(map, STR("on_timeout"));
    const struct yaml_node *times = yaml_get(map, STR("times"));
    int64_t number = ASK_TIMES;
    int word;
    flow_keys_check(u, map, "recover", keys, NULL);
    if (!flow_is_empty(yaml_get(map, STR("ask")))) {
        read_short(u, map, "ask", &out->prompt);
    }
    read_short(u, map, "assignee", &out->assignee);
    if (timeout) {
        flow_timeout_get(u, timeout, &out->timeout_us);
    }
    if (on_timeout && flow_word_get(u, on_timeout, "on_timeout", words, &word)) {
        out->on_timeout = (enum recover_timeout)word;
    }
    if (on_timeout && !timeout) {
        diag_error(u->s->diag, on_timeout->mark, "needs", "\"on_timeout\" needs \"timeout\"");
    }
    if (times && out->on_timeout != RECOVER_TIMEOUT_RETRY) {
        diag_error(u->s->diag, times->mark, "needs", "\"times\" needs \"on_timeout: retry\"");
    } else if (times) {
        flow_int_get(u, times, "times", times_range, &number);
    }
    out->times = (uint32_t)number;
}

static void read_rollback(struct unit *u, const struct yaml_node *map, struct plan_recover *out) {
    static const char *const keys[] = {"rollback", "times", NULL};
    const struct yaml_node *times = yaml_get(map, STR("times"));
    int64_t number = 1;
    flow_keys_check(u, map, "recover", keys, NULL);
    read_short(u, map, "rollback", &out->target);
    if (out->target.ptr && !out->target.len) {
        struct diag_item *item = diag_error(u->s->diag, map->mark, "bad_value",
                                            "\"recover\": \"rollback\" does not say where to");
        diag_help(u->s->diag, item, TARGET_HELP);
    }
    if (times) {
        flow_int_get(u, times, "times", times_range, &number);
    }
    out->times = (uint32_t)number;
}

/* A word alone is an entry without anything else; read: NULL when it can be nothing but that, full:
 * when it cannot be that. */
static const struct {
    const char *word;
    enum recover_what what;
    read_fn read;
    bool full;
} entries[] = {
    {"ask", RECOVER_ASK, read_ask, false},
    {"fail", RECOVER_FAIL, NULL, false},
    {"compensate", RECOVER_COMPENSATE, NULL, false},
    {"rollback", RECOVER_ROLLBACK, read_rollback, true},
};

/* Words that belong elsewhere. */
static const struct {
    const char *word, *help;
} misplaced[] = {
    {"assignee", "it is a field of an ask: write {ask: \"...\", assignee: ...}"},
    {"timeout", "it is a field of an ask: write {ask: \"...\", timeout: ...}"},
    {"on_timeout", "it is a field of an ask: write {ask: \"...\", timeout: ..., on_timeout: ...}"},
    {"times", "it is a field of a rollback, {rollback: NODE, times: ...}, or of an ask with "
              "on_timeout: retry"},
    {"retry", "`retry` is a field of the node, beside `recover`, which comes after its attempts"},
};

static void suggest(struct unit *u, struct diag_item *item, struct str got, const struct str *known,
                    size_t count) {
    for (size_t i = 0; i < ARRAY_LEN(misplaced); i++) {
        if (str_is(got, misplaced[i].word)) {
            diag_help(u->s->diag, item, "%s", misplaced[i].help);
            return;
        }
    }
    flow_suggest(u, item, got, known, count);
}

static void refuse_entry(struct unit *u, const struct yaml_node *n) {
    struct str known[ARRAY_LEN(entries)];
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        known[i] = str_from(entries[i].word);
    }
    struct str got = n->type == YAML_SCALAR            ? n->text
                     : n->type == YAML_MAP && n->count ? n->pairs[0].key->text
                                                       : STR("");
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (str_eq(got, known[i])) {
            struct diag_item *item = diag_error(
                u->s->diag, n->mark, "bad_value", "\"recover\": \"%.*s\" %s", STR_ARG(got),
                entries[i].full ? "does not say where to" : "has no fields");
            diag_help(u->s->diag, item, entries[i].full ? TARGET_HELP : "write the word alone");
            return;
        }
    }
    bool empty = n->type == YAML_MAP && !n->count;
    struct diag_item *item =
        empty     ? diag_error(u->s->diag, n->mark, "wrong_type",
                               "\"recover\": expected a way to recover, got an empty map")
        : got.len ? diag_error(u->s->diag, n->mark, "bad_value",
                               "\"recover\": \"%.*s\" is no way to recover",
                               STR_ARG(flow_text_clip(got, 60)))
                  : flow_type_refuse(u, n, "recover",
                                     "ask, compensate, fail, rollback or a list of such entries");
    suggest(u, item, got, known, ARRAY_LEN(known));
}

/* One entry is one way: {ask: ..., rollback: ...} leaves open which comes first. */
static bool refuse_two(struct unit *u, const struct yaml_node *n, size_t first) {
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (i != first && yaml_get(n, str_from(entries[i].word))) {
            const char *one = entries[first].word, *two = entries[i].word;
            struct diag_item *item =
                diag_error(u->s->diag, n->mark, "bad_value",
                           "\"recover\": \"%s\" and \"%s\" in one entry: an entry is one of "
                           "ask, compensate, fail, rollback",
                           one, two);
            diag_help(u->s->diag, item, "write a list, in the order in which they are to be tried");
            return true;
        }
    }
    return false;
}

static bool read_entry(struct unit *u, const struct yaml_node *n, struct plan_recover *out) {
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        bool word = n->type == YAML_SCALAR && str_is(n->text, entries[i].word) && !entries[i].full;
        bool map = n->type == YAML_MAP && yaml_get(n, str_from(entries[i].word));
        if (map && refuse_two(u, n, i)) {
            return false;
        }
        if (word || (map && entries[i].read)) {
            *out = (struct plan_recover){.what = entries[i].what, .mark = n->mark};
            if (map) {
                entries[i].read(u, n, out);
            }
            return true;
        }
    }
    refuse_entry(u, n);
    return false;
}

/* After an entry that always has the last word none has its turn. */
static bool is_last_word(const struct plan_recover *r) {
    bool waits = r->what == RECOVER_ASK && !r->timeout_us;
    bool decides = r->what == RECOVER_ASK && r->on_timeout == RECOVER_TIMEOUT_FAIL;
    return waits || decides || r->what == RECOVER_FAIL || r->what == RECOVER_COMPENSATE;
}

static void lint_order(struct unit *u, const struct plan_recover *list, uint32_t count) {
    for (uint32_t i = 0; i + 1 < count; i++) {
        if (is_last_word(&list[i])) {
            struct diag_item *item =
                diag_add(u->s->diag, DIAG_WARNING, list[i + 1].mark, "unreachable",
                         "\"recover\": this entry never has its turn");
            diag_help(u->s->diag, item, "the one before it %s",
                      list[i].what != RECOVER_ASK ? "fails the node"
                      : list[i].timeout_us        ? "decides when its time is up"
                                                  : "waits without end");
            return;
        }
    }
}

bool flow_recover_read(struct unit *u, const struct yaml_node *n, const struct plan_recover **out,
                       uint32_t *out_count) {
    bool is_list = n->type == YAML_LIST;
    uint32_t count = is_list ? n->count : 1, kept = 0;
    struct plan_recover *list = KEEP(u->s, count, struct plan_recover);
    if (!list) {
        return false;
    }
    if (is_list && !count) {
        struct diag_item *item = diag_error(u->s->diag, n->mark, "wrong_type",
                                            "\"recover\": expected at least one entry, got none");
        diag_help(u->s->diag, item, "write ask, compensate, fail or {rollback: ...}, or remove it");
    }
    for (uint32_t i = 0; i < count; i++) {
        kept += read_entry(u, is_list ? n->items[i] : n, &list[kept]);
    }
    lint_order(u, list, kept);
    *out = list;
    *out_count = kept;
    return !u->s->nomem;
}

bool flow_node_recover_read(struct unit *u, struct draft *d) {
    struct plan_node *n = d->node;
    n->recover = u->recover;
    n->recover_count = u->recover_count;
    return !d->common[COMMON_RECOVER] ||
           flow_recover_read(u, d->common[COMMON_RECOVER], &n->recover, &n->recover_count);
}

static bool is_made(const struct unit *u, struct str checkpoint) {
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        if (checkpoint.len && str_eq(u->plan->nodes[i].checkpoint, checkpoint)) {
            return true;
        }
    }
    return false;
}

static void check_target(struct unit *u, const struct plan_recover *r) {
    bool named = str_starts(r->target, STR("@"));
    bool known = named ? is_made(u, str_sub(r->target, 1, r->target.len))
                       : plan_node_find(u->plan, r->target) >= 0;
    if (r->what == RECOVER_ROLLBACK && r->target.len && !known) {
        struct diag_item *item =
            diag_error(u->s->diag, r->mark, "unknown_target", "\"rollback\": %s \"%.*s\"",
                       named ? "no node makes the checkpoint" : "the workflow has no node",
                       STR_ARG(flow_text_clip(r->target, 60)));
        diag_help(u->s->diag, item, "a target is a node, or @ and the name of a checkpoint");
    }
}

void flow_recover_check(struct unit *u) {
    for (uint32_t i = 0; i < u->recover_count; i++) {
        check_target(u, &u->recover[i]);
    }
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        const struct plan_node *n = &u->plan->nodes[i];
        for (uint32_t k = 0; n->recover != u->recover && k < n->recover_count; k++) {
            check_target(u, &n->recover[k]);
        }
    }
}

void flow_recover_lint(struct unit *u, const struct draft *d) {
    const struct plan_node *n = d->node;
    const char *handled = n->has_error_edge              ? "its error edge"
                          : n->on_error != ON_ERROR_FAIL ? "on_error"
                          : n->foreach.collect           ? "on_item_error: collect"
                                                         : NULL;
    if (d->common[COMMON_RECOVER] && handled) {
        struct diag_item *item =
            diag_add(u->s->diag, DIAG_WARNING, d->common[COMMON_RECOVER]->mark, "unreachable",
                     "\"recover\" of \"%.*s\" is never needed: %s handles its failures",
                     STR_ARG(n->name), handled);
        diag_help(u->s->diag, item, "keep one of the two");
    }
}
