/* The tables of events and fields as docs/FORMAT.md has them.
 */
#ifndef CAIRN_TESTS_UNIT_JOURNAL_FORMAT_H
#define CAIRN_TESTS_UNIT_JOURNAL_FORMAT_H

#include "base/base.h"

struct format_row {
    unsigned number; /* 0: there is none */
    struct str name, third /* version or type */, doc, fields;
};

struct format {
    struct arena arena;
    struct format_row events[64], fields[128]; /* by number */
    bool twice;                                /* a number has two rows */
};

/* False when the document is not there. Free it in both cases. */
bool format_read(struct format *f);
void format_free(struct format *f);
/* The document says that events of this number may have the field. */
bool format_allows(const struct format *f, unsigned event, const char *field);

#endif
