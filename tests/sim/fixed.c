/* A handful of fixed workflows for the systematic mode: a fault at every single commit.
 */
#include "sim.h"

static const struct {
    const char *name, *text;
    bool differs;
} rows[] = {
    {"chain of pure steps and effects",
     "{\"cairn\":1,\"nodes\":{"
     "\"w1\":{\"type\":\"work\",\"note\":\"a\"},"
     "\"c2\":{\"type\":\"calc\",\"needs\":[\"w1\"],\"value\":{\"n\":\"w1.n + 1\"}},"
     "\"w3\":{\"type\":\"work\",\"needs\":[\"c2\"],\"note\":\"{{ c2.n }}\"},"
     "\"e4\":{\"type\":\"end\",\"needs\":[\"w3\"],\"value\":\"w3.n + c2.n\"}}}",
     false},
    {"fan, retries that wait, a timeout, a handler of errors",
     "{\"cairn\":1,\"nodes\":{"
     "\"w1\":{\"type\":\"work\"},"
     "\"flaky2\":{\"type\":\"work\",\"needs\":[\"w1\"],"
     "\"retry\":{\"attempts\":4,\"backoff\":\"2s\"}},"
     "\"hang3\":{\"type\":\"work\",\"needs\":[\"w1\"],\"timeout\":\"3s\","
     "\"retry\":{\"attempts\":2,\"backoff\":\"1s\"},\"on_error\":{\"value\":\"{'n': 3}\"}},"
     "\"broken4\":{\"type\":\"work\",\"needs\":[\"w1\"]},"
     "\"w5\":{\"type\":\"work\",\"needs\":[\"broken4.error\"],\"note\":\"{{ broken4.type }}\"},"
     "\"e6\":{\"type\":\"end\",\"needs\":[\"flaky2\",\"hang3\",\"w5\"],"
     "\"value\":\"flaky2.n + hang3.n + w5.n\"}}}",
     false},
    {"nested loops and foreach, two slots",
     "{\"cairn\":1,\"concurrency\":2,\"nodes\":{"
     "\"w1\":{\"type\":\"work\",\"needs\":[\"s6.true\"],\"note\":\"{{ iteration }}\"},"
     "\"w2\":{\"type\":\"work\",\"needs\":[\"w1\",\"s3.true\"]},"
     "\"s3\":{\"type\":\"select\",\"needs\":[\"w2\"],\"when\":\"iteration % 2 < 1\"},"
     "\"f4\":{\"type\":\"work\",\"needs\":[\"s3.false\"],"
     "\"foreach\":{\"items\":[1,2,3,4],\"concurrency\":3},\"note\":\"{{ item }}\"},"
     "\"f5\":{\"type\":\"calc\",\"needs\":[\"f4\"],\"foreach\":{\"items\":\"f4\"},"
     "\"value\":\"item.n + index\"},"
     "\"s6\":{\"type\":\"select\",\"needs\":[\"f5\"],\"when\":\"iteration < 2\"},"
     "\"e7\":{\"type\":\"end\",\"needs\":[\"s6.false\"],\"value\":\"nodes.f5.body\"}}}",
     false},
    {"sub-workflows, also under foreach",
     "{\"cairn\":1,\"nodes\":{"
     "\"w1\":{\"type\":\"work\"},"
     "\"k2\":{\"type\":\"kid\",\"needs\":[\"w1\"],\"inputs\":{\"x\":\"w1.n\"},\"workflow\":{"
     "\"inputs\":{\"x\":{\"type\":\"integer\"}},\"nodes\":{"
     "\"w3\":{\"type\":\"work\",\"note\":\"{{ inputs.x }}\"},"
     "\"e4\":{\"type\":\"end\",\"needs\":[\"w3\"],\"value\":\"w3.n + inputs.x\"}}}},"
     "\"k5\":{\"type\":\"kid\",\"needs\":[\"k2\"],\"foreach\":{\"items\":[1,2,3]},"
     "\"inputs\":{\"x\":\"item\"},\"workflow\":{"
     "\"inputs\":{\"x\":{\"type\":\"integer\"}},\"nodes\":{"
     "\"e6\":{\"type\":\"end\",\"value\":\"inputs.x * 2\"}}}},"
     "\"e7\":{\"type\":\"end\",\"needs\":[\"k5\"],\"value\":\"[k2, k5]\"}}}",
     false},
    {"a failure under continue, collected items, join any, a limit",
     "{\"cairn\":1,\"on_failure\":\"continue\",\"nodes\":{"
     "\"broken1\":{\"type\":\"work\"},"
     "\"w2\":{\"type\":\"work\",\"needs\":[\"w3\"],\"max_iterations\":3,\"on_limit\":\"exit\"},"
     "\"w3\":{\"type\":\"work\",\"needs\":[\"w2\"]},"
     "\"broken4\":{\"type\":\"work\",\"needs\":[\"w2.limit\"],"
     "\"foreach\":{\"items\":[1,2,3],\"on_item_error\":\"collect\"}},"
     "\"w5\":{\"type\":\"work\",\"needs\":[\"broken1\",\"broken4\"],\"join\":\"any\"},"
     "\"w6\":{\"type\":\"work\",\"needs\":[\"broken1\"]}}}",
     false},
    {"failures that people decide on, a service that is left alone",
     "{\"cairn\":1,\"on_failure\":\"continue\",\"recover\":\"ask\","
     "\"breaker\":{\"failures\":2,\"open\":\"1s\"},\"nodes\":{"
     "\"flaky1\":{\"type\":\"work\",\"retry\":{\"attempts\":6,\"backoff\":\"100ms\"}},"
     "\"broken2\":{\"type\":\"work\",\"retry\":{\"attempts\":4,\"backoff\":\"0s\"}},"
     "\"broken3\":{\"type\":\"work\",\"foreach\":{\"items\":[1,2,3],\"concurrency\":2}},"
     "\"w4\":{\"type\":\"work\",\"if\":\"nodes.broken2.body.m == 1\",\"needs\":[\"broken2\"]},"
     "\"w5\":{\"type\":\"work\",\"needs\":[\"flaky1\",\"broken3\"],\"join\":\"any\"}}}",
     false},
    {"a saga: what was done is undone; a fallback, finally",
     "{\"cairn\":1,\"recover\":\"compensate\",\"finally\":[\"w9\",\"broken10\"],\"nodes\":{"
     "\"w1\":{\"type\":\"work\",\"compensate\":\"w5\"},"
     "\"w2\":{\"type\":\"work\",\"needs\":[\"w1\"],\"foreach\":[1,2],"
     "\"compensate\":\"flaky6\"},"
     "\"broken3\":{\"type\":\"work\",\"needs\":[\"w2\"],\"fallback\":\"w7\"},"
     "\"broken4\":{\"type\":\"work\",\"needs\":[\"broken3\"],\"fallback\":\"broken8\"},"
     "\"w5\":{\"type\":\"work\",\"note\":\"{{ step.body.n }}\"},"
     "\"flaky6\":{\"type\":\"work\",\"retry\":{\"attempts\":3,\"backoff\":\"1s\"},"
     "\"note\":\"{{ step.inputs.item }}\"},"
     "\"w7\":{\"type\":\"work\",\"compensate\":\"c11\"},"
     "\"broken8\":{\"type\":\"work\"},"
     "\"w9\":{\"type\":\"work\",\"note\":\"{{ execution.outcome }}\"},"
     "\"broken10\":{\"type\":\"work\",\"on_error\":\"continue\"},"
     "\"c11\":{\"type\":\"calc\",\"value\":{\"n\":\"step.body.n\"}}}}",
     false},
    {"at most once",
     "{\"cairn\":1,\"nodes\":{"
     "\"w1\":{\"type\":\"work\",\"delivery\":\"at_most_once\",\"on_error\":{\"value\":\"null\"}},"
     "\"w2\":{\"type\":\"work\",\"delivery\":\"at_most_once\","
     "\"foreach\":{\"items\":[1,2,3],\"on_item_error\":\"collect\"}},"
     "\"w3\":{\"type\":\"work\",\"needs\":[\"w1\",\"w2\"]}}}",
     true},
};

uint32_t recipe_fixed_count(void) { return ARRAY_LEN(rows); }

struct fixed recipe_fixed(uint32_t i) {
    return (struct fixed){
        rows[i].name,
        {.seed = 5,
         .document = str_from(rows[i].text),
         .keeps_going = str_find(str_from(rows[i].text), STR("\"continue\""), 0) != SIZE_MAX,
         .differs = rows[i].differs}};
}
