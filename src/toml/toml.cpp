// toml++ behind a C function: see toml.h.
#include "toml/toml.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 1
#include <sstream>
#include <string>
#include <toml++/toml.h>

namespace {

struct walk {
    json_t *lines;
    const char *file_name;
    char *error; // set: the document holds a value that JSON has no form for
};

json_t *convert(walk &walk, const toml::node &node, const std::string &path);

// Names with a dot or a bracket are quoted in a path, as they are in TOML.
std::string path_below(const std::string &path, std::string_view key) {
    std::string name(key);
    if (name.find_first_of(".[]\"") != std::string::npos) name = '"' + name + '"';
    return path.empty() ? name : path + "." + name;
}

json_t *convert_table(walk &walk, const toml::table &table, const std::string &path) {
    json_t *object = json_object();
    for (const auto &[key, value] : table) {
        std::string below = path_below(path, key.str());
        // The key's place; the value may begin further down.
        unsigned line = key.source().begin.line;
        json_object_set_new(walk.lines, below.c_str(), json_integer(line));
        json_object_setn_new(object, key.str().data(), key.str().size(), convert(walk, value, below));
    }
    return object;
}

json_t *convert_array(walk &walk, const toml::array &array, const std::string &path) {
    json_t *list = json_array();
    for (size_t i = 0; i < array.size(); i++) {
        std::string below = path + "[" + std::to_string(i) + "]";
        json_object_set_new(walk.lines, below.c_str(), json_integer(array[i].source().begin.line));
        json_array_append_new(list, convert(walk, array[i], below));
    }
    return list;
}

template <typename T> std::string text_of(const T &value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

json_t *convert(walk &walk, const toml::node &node, const std::string &path) {
    if (auto table = node.as_table()) return convert_table(walk, *table, path);
    if (auto array = node.as_array()) return convert_array(walk, *array, path);
    if (auto text = node.as_string()) return json_stringn(text->get().data(), text->get().size());
    if (auto integer = node.as_integer()) return json_integer(integer->get());
    if (auto boolean = node.as_boolean()) return json_boolean(boolean->get());
    if (auto date = node.as_date()) return json_string(text_of(date->get()).c_str());
    if (auto time = node.as_time()) return json_string(text_of(time->get()).c_str());
    if (auto both = node.as_date_time()) return json_string(text_of(both->get()).c_str());
    json_t *real = node.is_floating_point() ? json_real(node.as_floating_point()->get()) : nullptr;
    if (real == nullptr) {
        auto at = node.source().begin;
        snprintf(walk.error, SK_TOML_ERROR_MAX, "%s:%u:%u: '%.100s' must be a finite number.", walk.file_name, at.line, at.column,
                 path.c_str());
    }
    return real;
}

} // namespace

enum sk_status sk_toml_parse(struct sk_span text, const char *file_name, json_t **document, json_t **lines,
                             char error[SK_TOML_ERROR_MAX]) {
    toml::parse_result result = toml::parse(std::string_view(text.p ? text.p : "", text.n));
    if (!result) {
        auto at = result.error().source().begin;
        std::string reason(result.error().description());
        snprintf(error, SK_TOML_ERROR_MAX, "%s:%u:%u: %.300s.", file_name, at.line, at.column, reason.c_str());
        return SK_MALFORMED;
    }
    walk walk{json_object(), file_name, error};
    error[0] = 0;
    *document = convert(walk, result.table(), "");
    *lines = walk.lines;
    if (error[0] == 0) return SK_OK;
    json_decref(*document);
    json_decref(*lines);
    return SK_MALFORMED;
}
