/* libyaml's errors as sentences. libyaml speaks of tokens; people look at a line. The table maps
 * its wording (stable since 0.1.4) to what was expected; a wording that is not in the table is
 * passed on as it is.
 */
#include "yaml/yaml_priv.h"

struct sentence {
    const char *problem; /* libyaml's words */
    const char *context; /* start of libyaml's context, or NULL for any */
    bool at_context;     /* the place to show is where the construct starts */
    bool name_start;     /* say where the construct starts */
    const char *text;
    const char *help;
};

static const struct sentence sentences[] = {
    {"mapping values are not allowed in this context", NULL, false, false,
     "a ':' is not expected here",
     "quote text that contains \": \", and check the indentation of this line"},
    {"mapping keys are not allowed in this context", NULL, false, false,
     "a '?' is not expected here", NULL},
    {"block sequence entries are not allowed in this context", NULL, false, false,
     "a list item ('-') is not expected here", "put the '-' on a line of its own below the key"},
    {"could not find expected ':'", NULL, true, false, "expected ':' after this key",
     "text of several lines needs quotes or a '|' block; check the indentation"},
    {"did not find expected key", NULL, false, true, "expected a key of the map that starts at",
     "check the indentation, and for text after a closing quote"},
    {"did not find expected '-' indicator", NULL, false, true,
     "expected '-' or the end of the list that starts at", "check the indentation"},
    {"did not find expected ',' or ']'", NULL, false, true,
     "expected ',' or ']' in the list that starts at", NULL},
    {"did not find expected ',' or '}'", NULL, false, true,
     "expected ',' or '}' in the map that starts at", NULL},
    {"did not find expected node content", NULL, false, false, "expected a value here", NULL},
    {"did not find expected <document start>", NULL, false, false,
     "expected the end of the document here", "check the indentation of this line"},
    {"found unexpected end of stream", "while scanning a quoted", true, false,
     "this quoted text is never closed", NULL},
    {"found unexpected document indicator", "while scanning a quoted", true, false,
     "this quoted text is not closed before the next document starts", NULL},
    {"found unknown escape character", NULL, false, false,
     "unknown escape after '\\' in double-quoted text", "write \\\\ for a backslash, or use '...'"},
    {"did not find expected hexdecimal number", NULL, false, false,
     "expected hexadecimal digits after the escape", NULL},
    {"found invalid Unicode character escape code", NULL, false, false,
     "this escape is no Unicode character (half of a surrogate pair?)", NULL},
    {"found a tab character that violates indentation", NULL, false, false,
     "tabs cannot indent YAML; use spaces", NULL},
    {"found a tab character where an indentation space is expected", NULL, false, false,
     "tabs cannot indent YAML; use spaces", NULL},
    {"did not find expected comment or line break", "while scanning a block scalar", false, false,
     "text of a block starts on the line below '|' or '>'", NULL},
    {"found an indentation indicator equal to 0", NULL, false, false,
     "the indentation after '|' or '>' must be 1 to 9", NULL},
    {"found incompatible YAML document", NULL, false, false,
     "this version of YAML is not supported: 1.1 and 1.2 are", NULL},
    {"found undefined tag handle", NULL, false, false, "this tag is not declared",
     "text that starts with '!' needs quotes"},
    {"did not find expected alphabetic or numeric character", "while scanning an a", false, false,
     "expected a name after '&' or '*'", "text that starts with '&' or '*' needs quotes"},
    {"did not find expected alphabetic or numeric character", NULL, false, false,
     "a name cannot have this character", NULL},
    {"exceeded maximum nesting depth", NULL, false, false, "nested too deeply", NULL},
};

static const struct sentence *find(const yaml_parser_t *p) {
    const char *context = p->context ? p->context : "";
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++) {
        const struct sentence *s = &sentences[i];
        if (strcmp(s->problem, p->problem) == 0 &&
            (!s->context || strncmp(context, s->context, strlen(s->context)) == 0)) {
            return s;
        }
    }
    return NULL;
}

static char char_at(struct str text, size_t index) {
    size_t at = 0;
    for (size_t i = 0; i < index && at < text.len; i++) {
        str_utf8_next(text, &at);
    }
    return at < text.len ? text.ptr[at] : '\0';
}

static void cannot_start(char c, struct mark m, struct diag *diag) {
    if (c == '\t') {
        diag_error(diag, m, "yaml", "tabs cannot indent YAML; use spaces");
        return;
    }
    struct diag_item *item = diag_error(diag, m, "yaml", "a value cannot start with '%c'", c);
    diag_help(diag, item, "put quotes around the text");
}

static void tell(const yaml_parser_t *p, const struct sentence *s, const char *file,
                 struct diag *diag) {
    struct mark start = yaml_mark(p->context_mark, file);
    struct mark m = s->at_context && p->context ? start : yaml_mark(p->problem_mark, file);
    struct diag_item *item = s->name_start && p->context
                                 ? diag_error(diag, m, "yaml", "%s line %u, column %u", s->text,
                                              start.line, start.column)
                                 : diag_error(diag, m, "yaml", "%s", s->text);
    if (s->help) {
        diag_help(diag, item, "%s", s->help);
    }
}

enum err yaml_message_report(const yaml_parser_t *p, const struct yaml_source *s,
                             struct diag *diag) {
    if (p->error == YAML_MEMORY_ERROR || !p->problem) {
        return ERR_NOMEM;
    }
    struct mark m = yaml_mark(p->problem_mark, s->file);
    const struct sentence *known = find(p);
    if (strcmp(p->problem, "found character that cannot start any token") == 0) {
        cannot_start(char_at(s->text, p->problem_mark.index), m, diag);
    } else if (known) {
        tell(p, known, s->file, diag);
    } else if (p->context) {
        diag_error(diag, m, "yaml", "%s: %s", p->context, p->problem);
    } else {
        diag_error(diag, m, "yaml", "%s", p->problem);
    }
    return ERR_INVALID;
}
