// SPDX-License-Identifier: Apache-2.0
#pragma once
// The groups of commands. Each adds its own to the parser; a chosen one sets context.action.

#include "cli/context.hpp"

namespace tow::cli {

void add_sign_in(CLI::App& app, Context& context);        // login, git-credential
void add_projects(CLI::App& app, Context& context);       // project
void add_workspace(CLI::App& app, Context& context);      // init, check
void add_deployments(CLI::App& app, Context& context);    // deploy, rollback, scale, restart, destroy
void add_views(CLI::App& app, Context& context);          // status, ls, open, history
void add_configuration(CLI::App& app, Context& context);  // config, secret
void add_logs(CLI::App& app, Context& context);           // logs
void add_builds(CLI::App& app, Context& context);         // build
void add_jobs(CLI::App& app, Context& context);           // job
void add_terminals(CLI::App& app, Context& context);      // exec, run
void add_entities(CLI::App& app, Context& context);       // get, apply, delete, watch, explain

void add_manual(CLI::App& app, Context& context);  // completion, reference

}  // namespace tow::cli
