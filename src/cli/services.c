/* What the environment says of the services of agents: their addresses on this machine, such as
 * OPENAI_BASE_URL. Never here: their keys, which are secrets.
 */
#include <stdlib.h>

#include "cli/session.h"
#include "llm/llm.h"

struct value session_settings(struct arena *a) {
    size_t count;
    const struct llm_service *const *services = llm_services(&count);
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < count; i++) {
        const char *name = services[i]->address_name;
        const char *set = name ? getenv(name) : NULL;
        if (set && set[0]) {
            value_map_add(&b, str_from(name), value_text(str_from(set)));
        }
    }
    return b.count ? value_map_done(&b) : value_null();
}
