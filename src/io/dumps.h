/* Keeping the memory of this process out of core dumps, for those who hold secrets.
 *
 * Nothing else changes for the process, and nothing is ever allowed again.
 */
#ifndef CAIRN_IO_DUMPS_H
#define CAIRN_IO_DUMPS_H

/* From now on a core dump of this process, if one is written at all, holds none of its memory;
 * nor does one of the processes that it starts later. May be called any number of times. */
void io_dumps_forbid(void);

#endif
