/* Step ids as text: node#iteration[index]~generation; iteration 0 and generation 0 are not
 * written, an index always is (model.md "Vocabulary").
 */
#include "engine/engine_priv.h"

static char *put_number(char *at, uint64_t n) {
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (count) {
        *at++ = digits[--count];
    }
    return at;
}

struct str step_id_print(const struct plan *p, struct step_id id, char out[STEP_ID_BYTES]) {
    struct str name = p->nodes[id.node].name;
    ASSERT(name.len <= 256);
    memcpy(out, name.ptr, name.len);
    char *at = out + name.len;
    if (id.iteration) {
        *at++ = '#';
        at = put_number(at, id.iteration);
    }
    if (id.index >= 0) {
        *at++ = '[';
        at = put_number(at, (uint64_t)id.index);
        *at++ = ']';
    }
    if (id.generation) {
        *at++ = '~';
        at = put_number(at, id.generation);
    }
    *at = '\0';
    return (struct str){out, (size_t)(at - out)};
}

/* Digits without a leading zero (but "0" itself where zero_ok) up to max. */
static bool get_number(struct str s, size_t *at, uint64_t max, bool zero_ok, uint64_t *out) {
    size_t from = *at;
    uint64_t n = 0;
    while (*at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9') {
        n = n * 10 + (uint64_t)(s.ptr[*at] - '0');
        if (n > max) {
            return false;
        }
        (*at)++;
    }
    bool leading = *at > from && s.ptr[from] == '0';
    *out = n;
    return *at > from && (!leading || (zero_ok && *at == from + 1));
}

bool step_id_parse(const struct plan *p, struct str text, struct step_id *out) {
    size_t at = 0;
    while (at < text.len && !strchr("#[~", text.ptr[at])) {
        at++;
    }
    int64_t node = plan_node_find(p, str_sub(text, 0, at));
    uint64_t iteration = 0, index = 0, generation = 0;
    bool has_index = false;
    if (node < 0) {
        return false;
    }
    if (at < text.len && text.ptr[at] == '#') {
        at++;
        if (!get_number(text, &at, UINT32_MAX, false, &iteration)) {
            return false;
        }
    }
    if (at < text.len && text.ptr[at] == '[') {
        at++;
        has_index = get_number(text, &at, UINT32_MAX, true, &index);
        if (!has_index || at == text.len || text.ptr[at++] != ']') {
            return false;
        }
    }
    if (at < text.len && text.ptr[at] == '~') {
        at++;
        if (!get_number(text, &at, UINT32_MAX, false, &generation)) {
            return false;
        }
    }
    *out = (struct step_id){(uint32_t)node, (uint32_t)iteration, has_index ? (int64_t)index : -1,
                            (uint32_t)generation};
    return at == text.len;
}
