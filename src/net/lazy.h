/* Libraries loaded with their first use. curl's header is used for types only: nothing of curl is
 * linked, its functions are reached through struct net_curl.
 */
#ifndef CAIRN_NET_LAZY_H
#define CAIRN_NET_LAZY_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/base.h"

struct net_curl {
#define CURL_API(name) __typeof__(curl_##name) *name;
#include "net/curl_api.def"
#undef CURL_API
};

/* Loads libcurl and begins it; ERR_UNSUPPORTED says which package is missing or which version or
 * TLS library does not do. Balanced by net_curl_unload after OK. */
enum err net_curl_load(struct net_curl *out, struct error *e) MUST_USE;
void net_curl_unload(const struct net_curl *k);

#endif
