/* Loads libcurl by dlopen: the one place that does.
 *
 * A library is never unloaded: a thread of its resolver may still be under way in its code.
 * Invariant: what net_curl_load gives out is complete, of a version whose options are all known,
 * and over OpenSSL, the one TLS library this was written and tested for.
 */
#include "net/lazy.h"

#include "net/net.h"

#include <dlfcn.h>
#include <stdio.h>

/* CURLOPT_QUICK_EXIT, without which leaving a resolver waits for its thread. */
enum { CURL_OLDEST = 0x075700 };
#define CURL_OLDEST_TEXT "7.87.0"

struct lazy {
    const char *soname, *package, *needed_for;
};

enum lazy_id {
#define LAZY(id, soname, package, needed_for) LAZY_##id,
#include "net/lazy.def"
#undef LAZY
    LAZY_COUNT
};

static const struct lazy libraries[LAZY_COUNT] = {
#define LAZY(id, soname, package, needed_for) [LAZY_##id] = {soname, package, needed_for},
#include "net/lazy.def"
#undef LAZY
};

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define CURL_API(name) {"curl_" #name, offsetof(struct net_curl, name)},
#include "net/curl_api.def"
#undef CURL_API
};

static enum err unusable(const struct lazy *l, const char *why, struct error *e) {
    return error_set(e, ERR_UNSUPPORTED,
                     "%s need %s (Debian's package %s), which cannot be used: %s", l->needed_for,
                     l->soname, l->package, why);
}

static enum err check_version(const struct lazy *l, const curl_version_info_data *v,
                              struct error *e) {
    char why[200];
    if (v->version_num < CURL_OLDEST) {
        snprintf(why, sizeof why, "it is %s, and " CURL_OLDEST_TEXT " is the oldest that will do",
                 v->version);
        return unusable(l, why, e);
    }
    if (!v->ssl_version || !str_starts(str_from(v->ssl_version), STR("OpenSSL/"))) {
        snprintf(why, sizeof why, "its TLS is %s instead of OpenSSL",
                 v->ssl_version ? v->ssl_version : "missing");
        return unusable(l, why, e);
    }
    return OK;
}

enum err net_curl_load(struct net_curl *out, struct error *e) {
    const struct lazy *l = &libraries[LAZY_CURL];
    struct net_curl k;
    void *library = dlopen(l->soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        return unusable(l, dlerror(), e);
    }
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function) {
            return unusable(l, dlerror(), e);
        }
        memcpy((char *)&k + functions[i].offset, &function, sizeof function);
    }
    enum err err = check_version(l, k.version_info(CURLVERSION_NOW), e);
    if (!err && k.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err = unusable(l, "it does not start", e);
    }
    if (!err) {
        *out = k;
    }
    return err;
}

void net_curl_unload(const struct net_curl *k) { k->global_cleanup(); }

bool net_library_get(size_t n, struct net_library *out) {
    if (n >= LAZY_COUNT) {
        return false;
    }
    const struct lazy *l = &libraries[n];
    void *library = dlopen(l->soname, RTLD_LAZY | RTLD_LOCAL);
    *out = (struct net_library){l->soname, l->package, l->needed_for, library != NULL};
    if (library) {
        dlclose(library);
    }
    return true;
}
