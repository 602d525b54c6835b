# Runs metric filters on the lines that they are said to match and to ignore, the way CloudWatch Logs does: a
# comparison with a field that is not there does not hold.

variable "filters" {
  description = "The output `metric_filters`."
  type        = any
}

locals {
  lines = merge(flatten([
    for key, filter in var.filters : [
      for expected, lines in { matches = filter.matches, ignores = filter.ignores } : {
        for number, line in lines : "${key} ${expected} ${number}" => { filter = filter, line = line, expected = expected == "matches" }
      }
    ]
  ])...)

  fields = {
    for name, case in local.lines : name => {
      for path in distinct(flatten([for clause in case.filter.clauses : clause[*].path])) : path => try(
        length(split(".", path)) == 1 ? tostring(jsondecode(case.line)[path]) :
        length(split(".", path)) == 2 ? tostring(jsondecode(case.line)[split(".", path)[0]][split(".", path)[1]]) :
        length(split(".", path)) == 3 ? tostring(jsondecode(case.line)[split(".", path)[0]][split(".", path)[1]][split(".", path)[2]]) :
        tostring(jsondecode(case.line)[split(".", path)[0]][split(".", path)[1]][split(".", path)[2]][split(".", path)[3]]),
        null,
      )
    }
  }

  matched = {
    for name, case in local.lines : name => length(case.filter.words) > 0 ? anytrue([for word in case.filter.words : strcontains(case.line, word)]) : (
      can(jsondecode(case.line)) && alltrue([
        for clause in case.filter.clauses : anytrue([
          for condition in clause : (
            condition.test == "missing" ? local.fields[name][condition.path] == null :
            local.fields[name][condition.path] == null ? false :
            condition.test == "is" ? can(regex("^${replace(replace(replace(replace(condition.value, ".", "\\."), "(", "\\("), ")", "\\)"), "*", ".*")}$", local.fields[name][condition.path])) :
            condition.test == "is not" ? local.fields[name][condition.path] != condition.value :
            condition.test == "like" ? can(regex(condition.value, local.fields[name][condition.path])) :
            condition.test == "unlike" ? !can(regex(condition.value, local.fields[name][condition.path])) :
            tonumber(local.fields[name][condition.path]) > tonumber(condition.value)
          )
        ])
      ])
    )
  }
}

output "wrong" {
  description = "Lines that a filter takes for what they are not."
  value       = [for name, case in local.lines : name if local.matched[name] != case.expected]
}

output "lines" {
  description = "How many lines were looked at."
  value       = length(local.lines)
}
