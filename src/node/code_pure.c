/* Which code may share a process with steps of other nodes: that whose text has no word by which it
 * could reach anything but its own names.
 *
 * Words are looked for in the whole text. One that is found in a string or a comment costs no more
 * than a process for the step. This keeps accidents apart: code that wants to can put a word
 * together.
 */
#include "node/code_priv.h"

/* By which code reaches the process that runs it, or what its other steps see, tells the objects of
 * its context from those of node, or has something happen after its end. */
static bool is_pure_js(struct str text) {
    static const char *const words[] = {
        "import",     "require",   "process", "prototype", "Prototype",   "constructor",
        "instanceof", "__proto__", "\\",      "unref",     "AbortSignal", "FinalizationRegistry"};
    bool pure = true;
    for (size_t i = 0; pure && i < ARRAY_LEN(words); i++) {
        pure = str_find(text, str_from(words[i]), 0) == SIZE_MAX;
    }
    return pure;
}

/* By which Python code gets a module, a file, a frame or an attribute by its name, ends or enters
 * the interpreter, or is suspended and so has something happen after its end. */
static bool is_outward(struct str word) {
    static const char *const words[] = {"import",
                                        "open",
                                        "exec",
                                        "eval",
                                        "compile",
                                        "input",
                                        "globals",
                                        "vars",
                                        "getattr",
                                        "setattr",
                                        "delattr",
                                        "breakpoint",
                                        "help",
                                        "license",
                                        "credits",
                                        "exit",
                                        "quit",
                                        "copyright",
                                        "SystemExit",
                                        "yield",
                                        "async",
                                        "await",
                                        "traceback",
                                        "GeneratorExit",
                                        "gi_frame",
                                        "tb_frame",
                                        "f_back",
                                        "BaseException",
                                        "KeyboardInterrupt"};
    bool found = str_find(word, STR("__"), 0) != SIZE_MAX;
    for (size_t i = 0; !found && i < ARRAY_LEN(words); i++) {
        found = str_is(word, words[i]);
    }
    return found;
}

static bool is_of_word(unsigned char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Other letters than those of ASCII may be read as these by Python. */
static bool is_pure_python(struct str text) {
    size_t start = 0;
    for (size_t i = 0; i <= text.len; i++) {
        unsigned char c = i < text.len ? (unsigned char)text.ptr[i] : ' ';
        if (c >= 0x80) {
            return false;
        }
        if (!is_of_word(c)) {
            if (i > start && is_outward(str_sub(text, start, i))) {
                return false;
            }
            start = i + 1;
        }
    }
    return true;
}

bool code_is_pure(const struct code_data *d) {
    if (d->language == NULL || d->language->lines == NULL) {
        return false;
    }
    return d->language->js ? is_pure_js(d->text) : is_pure_python(d->text);
}
