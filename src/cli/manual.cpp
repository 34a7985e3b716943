// SPDX-License-Identifier: Apache-2.0
#include "cli/manual.hpp"
#include "cli/checks.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "model/entity.hpp"

namespace tow::cli {
namespace {

std::string upper(std::string text) {
  for (char& each : text) each = static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
  return text;
}

OptionText text_of(const CLI::Option& option) {
  OptionText made{.help = option.get_description(),
                  .standard = option.get_default_str(),
                  .variable = option.get_envname(),
                  .required = option.get_required(),
                  .several = option.get_expected_max() > 1};
  for (const auto& name : option.get_snames()) made.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) made.names.push_back("--" + name);
  if (made.names.empty())
    made.value = option.get_name(true, false);
  else if (option.get_items_expected_max() > 0)
    made.value = upper(option.get_lnames().empty() ? "value" : option.get_lnames()[0]);
  return made;
}

void collect(const CLI::App& app, const std::string& path, std::vector<CommandText>& all) {
  CommandText made{.path = path, .help = app.get_description()};
  for (const auto* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    auto text = text_of(*option);
    if (option->get_positional()) {
      auto positional = text;
      positional.names.clear();
      positional.value = option->get_name(true, false);
      made.positionals.push_back(std::move(positional));
    }
    if (!text.names.empty()) made.options.push_back(std::move(text));
  }
  std::vector<const CLI::App*> below;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty()) below.push_back(command);
  for (const auto* command : below) made.commands.push_back(command->get_name());
  all.push_back(std::move(made));
  for (const auto* command : below) collect(*command, path + " " + command->get_name(), all);
}

std::string usage(const CommandText& command) {
  std::string text = command.path;
  for (const auto& each : command.positionals) {
    const auto word = each.value + (each.several ? "…" : "");
    text += each.required ? " " + word : " [" + word + "]";
  }
  if (!command.commands.empty()) text += command.positionals.empty() ? " COMMAND" : " | COMMAND";
  return text;
}

// A table's cell keeps to its column.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

void list_options(std::string& text, const std::vector<OptionText>& options) {
  text += "\n| option | meaning |\n|---|---|\n";
  for (const auto& option : options) {
    auto name = fmt::format("{}", fmt::join(option.names, ", "));
    if (!option.value.empty()) name += (name.empty() ? "" : " ") + option.value;
    auto help = option.help;
    if (!option.standard.empty()) help += fmt::format(" (default: `{}`)", option.standard);
    if (!option.variable.empty()) help += fmt::format(" (or the variable `{}`)", option.variable);
    text += fmt::format("| `{}` | {} |\n", cell(name), cell(help));
  }
}

constexpr std::string_view kExits = R"(
## Exit codes

| code | meaning |
|---|---|
| 0 | it is done |
| 1 | it was tried and did not come to a good end |
| 2 | the input is wrong: arguments, a document |
| 3 | valid, but not supported here yet |
| 4 | what was named does not exist |
| 5 | not signed in, or not permitted |
| 6 | the state does not allow it now |
| 7 | the server does not answer, or took too long |

`tow exec` and `tow run` end with the code of what they ran.

## Variables

| variable | meaning |
|---|---|
| `TOWPATH_URL` | address of the server, where `--url` is not given |
| `TOWPATH_PROJECT` | project, where neither `-p` nor the repository names one |
| `TOWPATH_TOKEN` | token, instead of the one that `tow login` keeps |
| `TOWPATH_SOCKET` | the server's local socket |
| `NO_COLOR` | no colour, also on a terminal |
)";

std::string tables(const std::vector<CommandText>& commands) {
  // One function for both shells: words for a place, one a line.
  std::string text;
  text += "_tow_below() {\n  case \"$1\" in\n";
  for (const auto& command : commands) {
    if (command.commands.empty()) continue;
    text += fmt::format("    '{}') echo '{}' ;;\n", command.path, fmt::join(command.commands, " "));
  }
  text += "  esac\n}\n_tow_options() {\n  case \"$1\" in\n";
  std::vector<std::string> shared;
  for (const auto& option : commands.front().options)
    for (const auto& name : option.names) shared.push_back(name);
  for (const auto& command : commands) {
    std::vector<std::string> names = shared;
    if (command.path != commands.front().path)
      for (const auto& option : command.options)
        for (const auto& name : option.names) names.push_back(name);
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    text += fmt::format("    '{}') echo '{}' ;;\n", command.path, fmt::join(names, " "));
  }
  text += "  esac\n}\n# Options that a value follows.\n_tow_takes_value() {\n  case \"$1\" in\n";
  std::vector<std::string> with_value, flags;
  for (const auto& command : commands)
    for (const auto& option : command.options)
      for (const auto& name : option.names) (option.value.empty() ? flags : with_value).push_back(name);
  std::ranges::sort(with_value);
  with_value.erase(std::unique(with_value.begin(), with_value.end()), with_value.end());
  std::erase_if(with_value, [&](const std::string& name) { return std::ranges::count(flags, name) > 0; });
  text += fmt::format("    {}) return 0 ;;\n  esac\n  return 1\n}}\n", fmt::join(with_value, "|"));
  std::vector<std::string> kind_names;
  for (const auto& info : kinds()) kind_names.emplace_back(info.plural);
  text += fmt::format(R"sh(_tow_values() {{
  case "$1" in
    -o|--output) echo 'table json yaml' ;;
    -e|--environment) echo 'development production' ;;
  esac
}}
_tow_arguments() {{
  case "$1" in
    'tow get'|'tow watch'|'tow delete'|'tow explain') echo '{}' ;;
    'tow destroy') echo 'component env project' ;;
    'tow completion') echo 'bash zsh' ;;
  esac
}}
)sh",
                      fmt::join(kind_names, " "));
  // _tow_place: how far the words lead into the tree, and how many are arguments there.
  text += fmt::format(R"sh(_tow_place() {{
  _tow_path=tow _tow_count=0
  local skip='' each
  for each in "$@"; do
    if [ -n "$skip" ]; then skip=''; continue; fi
    case "$each" in
      --) _tow_path=''; return ;;
      -*) if _tow_takes_value "$each"; then skip=1; fi; continue ;;
    esac
    case " $(_tow_below "$_tow_path") " in
      *" $each "*) _tow_path="$_tow_path $each" ;;
      *) _tow_count=$((_tow_count + 1)) ;;
    esac
  done
}}
_tow_words() {{ # CURRENT BEFORE
  if _tow_takes_value "$2"; then _tow_values "$2"; return; fi
  case "$1" in
    -*) _tow_options "$_tow_path"; return ;;
  esac
  if [ "$_tow_count" -eq 0 ]; then
    _tow_below "$_tow_path"
    _tow_arguments "$_tow_path"
  fi
}}
)sh");
  return text;
}

}  // namespace

std::vector<CommandText> commands_of(const CLI::App& app) {
  std::vector<CommandText> all;
  collect(app, app.get_name(), all);
  return all;
}

std::string reference(const std::vector<CommandText>& commands) {
  std::string text =
      "# The command line\n\n"
      "Made by `tow reference` from the commands themselves; do not edit.\n\n"
      "Where a command takes COMPONENT[.ENVIRONMENT], both have defaults: the component of the folder that "
      "one "
      "stands in, and `development`.\n\n"
      "These options go with every command, before or after it:\n";
  list_options(text, commands.front().options);
  text += "\n| command | what it does |\n|---|---|\n";
  for (const auto& command : commands)
    if (&command != &commands.front())
      text += fmt::format("| `{}` | {} |\n", cell(usage(command)), cell(command.help));
  for (const auto& command : commands) {
    if (&command == &commands.front()) continue;
    text += fmt::format("\n## {}\n\n{}.\n\n```\n{}\n```\n", command.path, command.help, usage(command));
    auto options = command.positionals;
    for (const auto& option : command.options)
      if (std::ranges::find(option.names, "--help") == option.names.end()) options.push_back(option);
    if (!options.empty()) list_options(text, options);
  }
  text += kExits;
  return text;
}

std::string bash_completion(const std::vector<CommandText>& commands) {
  return "# bash completion of tow: source <(tow completion bash)\n" + tables(commands) + R"sh(_tow() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"
  _tow_place "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  COMPREPLY=()
  [ -n "$_tow_path" ] || return 0
  mapfile -t COMPREPLY < <(compgen -W "$(_tow_words "$current" "$before")" -- "$current")
}
complete -o default -F _tow tow
)sh";
}

std::string zsh_completion(const std::vector<CommandText>& commands) {
  return "#compdef tow\n# zsh completion of tow: source <(tow completion zsh)\n" + tables(commands) +
         R"sh(_tow() {
  local -a found
  _tow_place "${(@)words[2,CURRENT-1]}"
  [ -n "$_tow_path" ] || { _default; return; }
  found=(${=$(_tow_words "${words[CURRENT]}" "${words[CURRENT-1]}")})
  if (( $#found )); then compadd -- $found; else _default; fi
}
if [ "$funcstack[1]" = _tow ]; then _tow "$@"; else compdef _tow tow; fi
)sh";
}

void add_manual(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  auto* completion = app.add_subcommand(
      "completion", "Print what teaches a shell to complete: source <(tow completion bash)");
  completion->add_option("SHELL", *shell, "bash or zsh")->required()->check(one_of({"bash", "zsh"}));
  completion->callback([&app, &context, shell] {
    context.action = [&app, shell]() -> Task<int> {
      const auto commands = commands_of(app);
      std::fputs((*shell == "zsh" ? zsh_completion(commands) : bash_completion(commands)).c_str(), stdout);
      co_return kOk;
    };
  });
  app.add_subcommand("reference", "Print this manual")->group("")->callback([&app, &context] {
    context.action = [&app]() -> Task<int> {
      std::fputs(reference(commands_of(app)).c_str(), stdout);
      co_return kOk;
    };
  });
}

}  // namespace tow::cli
