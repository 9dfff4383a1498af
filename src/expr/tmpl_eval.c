/* Rendering templates: pieces into one text, bounded by the arena; steps count on through all
 * expressions of one rendering.
 */
#include "expr/tmpl_priv.h"

struct render {
    struct run run;
    struct buf out;
    struct buf value; /* sealed: one value, before it is sealed */
    bool sealed;
};

static enum err render_block(struct render *d, const struct block *b);

static enum err eval_piece(struct render *d, const struct piece *p, struct value *out) {
    d->run.x = p->x;
    struct value v;
    enum err err = eval_node(&d->run, p->x->root, &v);
    return err ? err : run_finish(&d->run, v, out);
}

static enum err render_value(struct render *d, const struct piece *p) {
    struct value v;
    enum err err = eval_piece(d, p, &v);
    if (err) {
        return err;
    }
    size_t before = d->out.len;
    if (d->sealed) {
        buf_reset(&d->value);
        value_print_text(v, &d->value);
        secret_text_seal(buf_str(&d->value), &d->out);
        d->out.failed |= d->value.failed;
    } else {
        value_print_text(v, &d->out);
    }
    return run_charge_bytes(&d->run, d->out.len - before);
}

static enum err render_if(struct render *d, const struct piece *p) {
    bool yes = false;
    d->run.x = p->x;
    enum err err = eval_bool(&d->run, p->x->root, "{{#if}} needs", &yes);
    return err ? err : render_block(d, yes ? &p->yes : &p->no);
}

static enum err render_each(struct render *d, const struct piece *p) {
    struct value v;
    enum err err = eval_piece(d, p, &v);
    if (err) {
        return err;
    }
    if (v.type != VALUE_LIST && v.type != VALUE_MAP) {
        return run_mismatch(&d->run, "{{#each}} walks a list or a map, this is %s%s",
                            type_phrase(v),
                            v.type == VALUE_NULL ? "; x.?field.orValue([]) avoids that" : "");
    }
    for (uint32_t i = 0; !err && i < v.extra; i++) {
        d->run.locals[p->local] = v.type == VALUE_LIST ? v.items[i] : v.pairs[i].key;
        if (p->has_index) {
            d->run.locals[p->local + 1] = value_int(i);
        }
        err = run_charge(&d->run, 1);
        err = err ? err : render_block(d, &p->yes);
    }
    return err;
}

static enum err render_text(struct render *d, struct str text) {
    if (d->sealed) {
        secret_text_seal(text, &d->out);
    } else {
        buf_append(&d->out, text);
    }
    return run_charge_bytes(&d->run, text.len);
}

static enum err render_secret(struct render *d, struct str name) {
    secret_mark_append(name, &d->out);
    return run_charge_bytes(&d->run, name.len);
}

static enum err render_piece(struct render *d, const struct piece *p) {
    switch (p->kind) {
    case PIECE_TEXT: return render_text(d, p->text);
    case PIECE_VALUE: return render_value(d, p);
    case PIECE_SECRET: return render_secret(d, p->text);
    case PIECE_IF: return render_if(d, p);
    default: return render_each(d, p);
    }
}

static enum err render_block(struct render *d, const struct block *b) {
    enum err err = OK;
    for (uint32_t i = 0; !err && i < b->count; i++) {
        err = run_charge(&d->run, 1);
        err = err ? err : render_piece(d, &b->pieces[i]);
        if (!err && !buf_ok(&d->out)) {
            err = d->out.starved ? error_nomem(d->run.e) : run_memory_exceeded(&d->run);
        }
    }
    return err;
}

static enum err render_whole(struct render *d, const struct tmpl *t, struct value *out) {
    enum err err = run_locals(&d->run, t->local_count);
    if (err) {
        return err;
    }
    text_start(&d->run, &d->out);
    text_start(&d->run, &d->value);
    err = render_block(d, &t->root);
    buf_fini(&d->value);
    if (err) {
        buf_fini(&d->out);
        return err;
    }
    return text_done(&d->run, &d->out, out);
}

enum err tmpl_eval_text(const struct tmpl *t, struct expr_env *env, struct value *out,
                        struct error *e) {
    if (t->constant) {
        *out = value_text(t->text);
        return OK;
    }
    struct expr nowhere = {.text = STR(""), .at = t->at};
    struct render d = {.run = run_start(env, e, &nowhere), .sealed = t->sealed};
    enum err err = render_whole(&d, t, out);
    run_end(&d.run);
    return err;
}

enum err tmpl_eval_value(const struct tmpl *t, struct expr_env *env, struct value *out,
                         struct error *e) {
    if (t->root.count == 1 && t->root.pieces[0].kind == PIECE_VALUE) {
        return expr_eval(t->root.pieces[0].x, env, out, e);
    }
    return tmpl_eval_text(t, env, out, e);
}

const uint32_t *tmpl_slots(const struct tmpl *t, uint32_t *out_count) {
    *out_count = t->slot_count;
    return t->slots;
}

bool tmpl_has_secrets(const struct tmpl *t) { return t->sealed; }

bool tmpl_constant(const struct tmpl *t, struct value *out) {
    if (t->constant) {
        *out = value_text(t->text);
    }
    return t->constant;
}
