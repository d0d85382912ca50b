/* configyaml.c: a run file read with libyaml, which knows the line and column of everything.
   Nested maps are flattened with '_', aliases and "<<: *anchor" are followed, repeated keys are refused. */
#include "configimpl.h"
#include <ctype.h>
#include <errno.h>
#include <yaml.h>

#define FP_MAX_DEPTH 8     /* of maps in maps */
#define FP_MAX_VISITS 5000 /* of nodes, as aliases can repeat them without end */

typedef struct {
  FPConfig         config;
  const char      *file;
  yaml_document_t *document;
  int              visits;
} Loader;

static int Line(const yaml_node_t *node)
{
  return (int)node->start_mark.line + 1;
}

static PetscErrorCode ReadFile(const char file[], size_t *length, unsigned char **text)
{
  FILE *stream = fopen(file, "rb");
  int   error;

  PetscFunctionBegin;
  FPInputCheck(stream, "cannot read the run file %s: %s", file, strerror(errno));
  PetscCall(PetscMalloc1(FP_MAX_BYTES + 1, text));
  errno   = 0;
  *length = fread(*text, 1, FP_MAX_BYTES + 1, stream);
  error   = ferror(stream) ? errno : 0;
  (void)fclose(stream);
  if (error || *length > FP_MAX_BYTES) PetscCall(PetscFree(*text));
  FPInputCheck(!error, "cannot read the run file %s: %s", file, strerror(error));
  FPInputCheck(*length <= FP_MAX_BYTES, "%s is larger than %d bytes, so hardly a run file", file, FP_MAX_BYTES);
  PetscFunctionReturn(0);
}

static PetscErrorCode SyntaxError(const yaml_parser_t *parser, const char file[], size_t length,
                                  const unsigned char text[])
{
  const yaml_mark_t *mark    = &parser->problem_mark;
  const char        *problem = parser->problem ? parser->problem : "unknown problem";
  const PetscBool    tab     = (PetscBool)(mark->index < length && text[mark->index] == '\t');

  PetscFunctionBegin;
  if (parser->error == YAML_READER_ERROR)
    FPInputError("%s: not YAML text: %s at byte %d", file, problem, (int)parser->problem_offset);
  FPInputError("%s:%d:%d: YAML syntax: %s%s%s%s", file, (int)mark->line + 1, (int)mark->column + 1, problem,
               parser->context ? " " : "", parser->context ? parser->context : "",
               tab ? "; this is a tab, indent with blanks" : "");
}

static PetscErrorCode CheckNode(Loader *loader, const yaml_node_t *node)
{
  const char *tag = node->tag ? (const char *)node->tag : "";

  PetscFunctionBegin;
  FPInputCheck(++loader->visits <= FP_MAX_VISITS, "%s: more than %d values, aliases counted each time", loader->file,
               FP_MAX_VISITS);
  FPInputCheck(!strncmp(tag, "tag:yaml.org,2002:", 18), "%s:%d: the tag %s is not accepted", loader->file, Line(node),
               tag);
  if (node->type == YAML_SCALAR_NODE)
    FPInputCheck(strlen((const char *)node->data.scalar.value) == node->data.scalar.length,
                 "%s:%d: a zero byte inside a text", loader->file, Line(node));
  PetscFunctionReturn(0);
}

static PetscErrorCode KeyText(Loader *loader, const yaml_node_t *node, const char **text)
{
  PetscFunctionBegin;
  PetscCall(CheckNode(loader, node));
  FPInputCheck(node->type == YAML_SCALAR_NODE && node->data.scalar.length > 0,
               "%s:%d: a key must be a word, as in \"key: value\"", loader->file, Line(node));
  *text = (const char *)node->data.scalar.value;
  for (const char *c = *text; *c; c++)
    FPInputCheck(!iscntrl((unsigned char)*c), "%s:%d: a key must be a word on one line", loader->file, Line(node));
  PetscFunctionReturn(0);
}

/* First pair of the map with this key; NULL: none. */
static const yaml_node_pair_t *MapFind(Loader *loader, const yaml_node_t *map, const char text[])
{
  for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
    const yaml_node_t *key = yaml_document_get_node(loader->document, pair->key);

    if (key->type == YAML_SCALAR_NODE && !strcmp((const char *)key->data.scalar.value, text)) return pair;
  }
  return NULL;
}

static PetscErrorCode AddList(Loader *loader, const char key[], int line, const yaml_node_t *node)
{
  const yaml_node_item_t *first = node->data.sequence.items.start;
  const PetscInt          n     = (PetscInt)(node->data.sequence.items.top - first);
  const char            **item;

  PetscFunctionBegin;
  PetscCall(PetscMalloc1(n, &item));
  for (PetscInt i = 0; i < n; i++) {
    const yaml_node_t *entry = yaml_document_get_node(loader->document, first[i]);

    PetscCall(CheckNode(loader, entry));
    FPInputCheck(entry->type != YAML_SEQUENCE_NODE,
                 "%s:%d: %s holds a list in a list; matrices are flat lists, row by row", loader->file, Line(entry),
                 key);
    FPInputCheck(entry->type == YAML_SCALAR_NODE, "%s:%d: %s holds a map in a list; lists hold numbers or words",
                 loader->file, Line(entry), key);
    item[i] = (const char *)entry->data.scalar.value;
  }
  PetscCall(FPConfigAdd(loader->config, key, FP_FROM_FILE, line, PETSC_TRUE, PETSC_FALSE, n, item));
  PetscCall(PetscFree(item));
  PetscFunctionReturn(0);
}

static PetscErrorCode AddScalar(Loader *loader, const char key[], int line, const yaml_node_t *node)
{
  const char *const text  = (const char *)node->data.scalar.value;
  const PetscBool   plain = (PetscBool)(node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
  const PetscBool   empty =
      (PetscBool)(plain && (!text[0] || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "NULL")));

  PetscFunctionBegin;
  PetscCall(FPConfigAdd(loader->config, key, FP_FROM_FILE, line, PETSC_FALSE, empty, empty ? 0 : 1, &text));
  PetscFunctionReturn(0);
}

static PetscErrorCode WalkMap(Loader *loader, const yaml_node_t *map, const char prefix[], int depth);

/* One key of a map: a value, or a map whose keys follow it after '_'. */
static PetscErrorCode WalkPair(Loader *loader, const yaml_node_pair_t *pair, const char prefix[], int depth)
{
  const yaml_node_t *key   = yaml_document_get_node(loader->document, pair->key);
  const yaml_node_t *value = yaml_document_get_node(loader->document, pair->value);
  const int          line  = Line(key);
  const char        *text;
  const FPEntry     *before;
  char               full[FP_KEY];

  PetscFunctionBegin;
  PetscCall(KeyText(loader, key, &text));
  PetscCall(CheckNode(loader, value));
  FPInputCheck(snprintf(full, FP_KEY, "%s%s%s", prefix, prefix[0] ? "_" : "", text) < FP_KEY,
               "%s:%d: the key %.40s... is longer than %d characters", loader->file, line, full, FP_KEY - 1);
  if (value->type == YAML_MAPPING_NODE &&
      (!prefix[0] || value->data.mapping.pairs.top > value->data.mapping.pairs.start)) {
    PetscCall(WalkMap(loader, value, full, depth + 1));
    PetscFunctionReturn(0);
  }
  before = FPConfigFind(loader->config, full);
  FPInputCheck(!before || before->source != FP_FROM_FILE, "%s:%d: duplicate key %s, first given in line %d",
               loader->file, line, full, before->line);
  if (value->type == YAML_MAPPING_NODE) /* {} inside a section: a key without a value */
    PetscCall(FPConfigAdd(loader->config, full, FP_FROM_FILE, line, PETSC_FALSE, PETSC_TRUE, 0, NULL));
  else if (value->type == YAML_SEQUENCE_NODE)
    PetscCall(AddList(loader, full, line, value));
  else
    PetscCall(AddScalar(loader, full, line, value));
  PetscFunctionReturn(0);
}

/* "<<: *anchor": the keys of that map which this map does not have. */
static PetscErrorCode WalkMerged(Loader *loader, const yaml_node_t *map, const yaml_node_pair_t *merge,
                                 const char prefix[], int depth)
{
  const yaml_node_t *source = yaml_document_get_node(loader->document, merge->value);

  PetscFunctionBegin;
  FPInputCheck(source->type == YAML_MAPPING_NODE && !MapFind(loader, source, "<<"),
               "%s:%d: << takes one map that has no << itself", loader->file,
               Line(yaml_document_get_node(loader->document, merge->key)));
  for (const yaml_node_pair_t *pair = source->data.mapping.pairs.start; pair < source->data.mapping.pairs.top; pair++) {
    const char *text;

    PetscCall(KeyText(loader, yaml_document_get_node(loader->document, pair->key), &text));
    if (!MapFind(loader, map, text)) PetscCall(WalkPair(loader, pair, prefix, depth));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode WalkMap(Loader *loader, const yaml_node_t *map, const char prefix[], int depth)
{
  const yaml_node_pair_t *merge = MapFind(loader, map, "<<");

  PetscFunctionBegin;
  FPInputCheck(depth <= FP_MAX_DEPTH, "%s:%d: maps in maps more than %d deep", loader->file, Line(map), FP_MAX_DEPTH);
  for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
    const yaml_node_t      *key = yaml_document_get_node(loader->document, pair->key);
    const char             *text;
    const yaml_node_pair_t *first;

    PetscCall(KeyText(loader, key, &text));
    first = MapFind(loader, map, text);
    FPInputCheck(first == pair, "%s:%d: duplicate key %s%s%s, first given in line %d", loader->file, Line(key), prefix,
                 prefix[0] ? "_" : "", text, Line(yaml_document_get_node(loader->document, first->key)));
    if (pair != merge) PetscCall(WalkPair(loader, pair, prefix, depth));
  }
  if (merge) PetscCall(WalkMerged(loader, map, merge, prefix, depth));
  PetscFunctionReturn(0);
}

static PetscErrorCode LoadDocument(Loader *loader)
{
  const yaml_node_t *root = yaml_document_get_root_node(loader->document);

  PetscFunctionBegin;
  FPInputCheck(root, "%s: the run file is empty", loader->file);
  FPInputCheck(root->type == YAML_MAPPING_NODE, "%s:%d: a run file consists of lines \"key: value\"", loader->file,
               Line(root));
  PetscCall(WalkMap(loader, root, "", 1));
  PetscFunctionReturn(0);
}

/* parser and document are the caller's, who frees them even after an error. */
static PetscErrorCode Load(FPConfig config, const char file[], yaml_parser_t *parser, yaml_document_t document[2],
                           size_t length, const unsigned char text[])
{
  Loader             loader = {config, file, &document[0], 0};
  const yaml_node_t *second;

  PetscFunctionBegin;
  yaml_parser_set_input_string(parser, text, length);
  for (int i = 0; i < 2; i++)
    if (!yaml_parser_load(parser, &document[i])) PetscCall(SyntaxError(parser, file, length, text));
  second = yaml_document_get_root_node(&document[1]);
  FPInputCheck(!second, "%s:%d: a second document starts here; a run file is one document", file, Line(second));
  PetscCall(LoadDocument(&loader));
  PetscFunctionReturn(0);
}

PetscErrorCode FPConfigLoad(FPConfig config, const char file[])
{
  unsigned char  *text;
  size_t          length = 0;
  yaml_parser_t   parser;
  yaml_document_t document[2];
  PetscErrorCode  ierr;

  PetscFunctionBegin;
  FPInputCheck(!config->file, "%s: a run file was read before, %s", file, config->file);
  PetscCall(ReadFile(file, &length, &text));
  PetscCall(PetscStrallocpy(file, &config->file));
  PetscCall(PetscMemzero(document, sizeof(document)));
  PetscCheck(yaml_parser_initialize(&parser), PETSC_COMM_SELF, PETSC_ERR_MEM, "no memory for a YAML parser");
  ierr = Load(config, file, &parser, document, length, text);
  for (int i = 0; i < 2; i++) yaml_document_delete(&document[i]);
  yaml_parser_delete(&parser);
  PetscCall(PetscFree(text));
  PetscCall(ierr);
  PetscFunctionReturn(0);
}
