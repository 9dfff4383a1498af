/* The table of services, made of services.def, and finding one by its name.
 *
 * Never here: anything about a single service. That is in the service's own file.
 */
#include "llm/llm.h"

#define SERVICE(id) extern const struct llm_service llm_##id;
#define LATER(text)
#include "llm/services.def"
#undef SERVICE
#undef LATER

static const struct llm_service *const services[] = {
#define SERVICE(id) &llm_##id,
#define LATER(text)
#include "llm/services.def"
#undef SERVICE
#undef LATER
};

static const char *const later[] = {
#define SERVICE(id)
#define LATER(text) text,
#include "llm/services.def"
#undef SERVICE
#undef LATER
};

const struct llm_service *const *llm_services(size_t *out_count) {
    *out_count = ARRAY_LEN(services);
    return services;
}

static enum err refuse_later(const struct llm_agent *agent, struct error *e) {
    return error_set(e, ERR_UNSUPPORTED,
                     "the service \"%.*s\" is not available in this version of cairn; it has "
                     "\"offline\", which answers from \"replies\" without a network, and "
                     "\"openai_compatible\"",
                     STR_ARG(agent->service));
}

static enum err refuse_unknown(const struct llm_agent *agent, struct error *e) {
    struct str names[ARRAY_LEN(services) + ARRAY_LEN(later)];
    size_t count = 0;
    struct buf known;
    buf_init(&known, 0);
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        names[count++] = str_from(services[i]->name);
        buf_printf(&known, "%s%s", i ? ", " : "", services[i]->name);
    }
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        names[count++] = str_from(later[i]);
    }
    struct str near = str_nearest(agent->service, names, count);
    struct str name = str_sub(agent->service, 0, 60);
    enum err err = near.len ? error_set(e, ERR_INVALID,
                                        "there is no service called \"%.*s\"; did you mean "
                                        "\"%.*s\"?",
                                        STR_ARG(name), STR_ARG(near))
                            : error_set(e, ERR_INVALID,
                                        "there is no service called \"%.*s\"; this version of "
                                        "cairn has: %.*s",
                                        STR_ARG(name), STR_ARG(buf_str(&known)));
    buf_fini(&known);
    return err;
}

enum err llm_service_find(const struct llm_agent *agent, const struct llm_service **out,
                          struct error *e) {
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        if (str_is(agent->service, services[i]->name)) {
            *out = services[i];
            return OK;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        if (str_is(agent->service, later[i])) {
            return refuse_later(agent, e);
        }
    }
    return refuse_unknown(agent, e);
}
