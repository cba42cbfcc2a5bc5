/*
 * Pieces of SQL that several statements share.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

/* A timestamptz as whole microseconds since 1970, and back. */
#define SQL_US(expr) "(extract(epoch FROM " expr ") * 1000000)::bigint"
#define SQL_TIME(param) "(timestamptz 'epoch' + " param "::bigint * interval '1 microsecond')"

#endif
