/* CSV as RFC 4180 describes it: commas, fields in double quotes where they need them, a first row
 * with the names of the columns. A table is a list of maps whose values are texts: what a text
 * means is for the reader to say.
 *
 * Beyond the RFC: lines may end in LF or CR alone, a byte order mark is skipped and empty lines are
 * no rows. Not forgiven: rows longer or shorter than the first, quotes inside a field without
 * quotes, text behind a closing quote, a quote that is never closed, a column name that comes
 * twice.
 */
#ifndef CAIRN_VALUE_CSV_H
#define CAIRN_VALUE_CSV_H

#include "value/value.h"

/* The rows as a list of maps in the order of columns; [] without any. ERR_INVALID with line and
 * column. Fields are borrowed from text where they have no doubled quotes. */
enum err value_parse_csv(struct arena *a, struct str text, struct value *out, struct error *e)
    MUST_USE;
/* Only the names of the columns: a list of texts, empty for an empty text. *out_crlf: the first
 * line ends in CR LF, or has no end. */
enum err value_parse_csv_header(struct arena *a, struct str text, struct value *out, bool *out_crlf,
                                struct error *e) MUST_USE;

struct csv_style {
    struct value columns; /* list of texts; null: the keys of the rows in order of appearance */
    bool no_header;       /* only the rows */
    bool lf;              /* lines end in LF instead of CR LF */
};
/* Prints a list of maps, one map, or a list of lists (without any header). What a row does not have
 * is an empty field; texts are written as they are, null as nothing, the rest as JSON. ERR_INVALID
 * for anything else, and for a key that is none of the given columns. */
enum err value_print_csv(struct value rows, const struct csv_style *style, struct arena *scratch,
                         struct buf *out, struct error *e) MUST_USE;

#endif
