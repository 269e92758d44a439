/*
 * schema_views.h - what people query: views over the tables of schema.h.
 */
#ifndef INDEX_SCHEMA_VIEWS_H
#define INDEX_SCHEMA_VIEWS_H

#define SCHEMA_VIEWS(X)

#endif
