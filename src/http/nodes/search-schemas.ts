import { Type } from 'typebox'

/** What `artifacts/search/search-request.ts` reads, for the OpenAPI document. A rule may nest, which is said in words. */
const Rule = Type.Object(
  {
    field: Type.Optional(Type.String({ description: 'Of a leaf: e.g. name, fullPath, size, metadata.build' })),
    value: Type.Optional(Type.Unknown({ description: 'Text, number, date, true or false; a list for IN and NIN' })),
    operation: Type.Optional(
      Type.String({
        description:
          'EQ when left out; NE, IN, NIN, NULL, NOT_NULL, PREFIX, SUFFIX, CONTAINS, MATCH, MATCH_I, LT, LTE, GT, GTE, BEFORE, AFTER',
      }),
    ),
    rules: Type.Optional(Type.Array(Type.Unknown(), { description: 'Of a nest: leaves and nests' })),
    relation: Type.Optional(Type.String({ description: 'Of a nest: AND when left out, OR, NOR' })),
  },
  { description: 'A leaf or a nest. The outermost AND pins projectId by EQ.' },
)

export const SearchBody = Type.Object({
  select: Type.Optional(Type.Array(Type.String(), { description: 'Fields to return; all when left out' })),
  page: Type.Optional(
    Type.Object({ pageNumber: Type.Optional(Type.Integer()), pageSize: Type.Optional(Type.Integer()) }),
  ),
  sort: Type.Optional(
    Type.Object({
      properties: Type.Array(Type.String()),
      direction: Type.Optional(Type.String({ description: 'ASC when left out, or DESC' })),
    }),
  ),
  rule: Rule,
})
