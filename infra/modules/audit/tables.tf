# What Athena reads. Partitions are computed from the query, so that nothing has to be crawled or added: a table is
# current from the first file on, and a question about a day reads that day.

locals {
  regions  = length(var.query_regions) > 0 ? var.query_regions : [local.region]
  database = replace("${var.name}_audit", "-", "_")

  by_day = {
    "projection.enabled"           = "true"
    "projection.day.type"          = "date"
    "projection.day.format"        = "yyyy/MM/dd"
    "projection.day.range"         = "2026/01/01,NOW"
    "projection.day.interval"      = "1"
    "projection.day.interval.unit" = "DAYS"
  }

  tables = { for table, definition in {
    trail = {
      description = "Calls, as CloudTrail recorded them, by day and region"
      location    = "s3://${local.bucket_names["trail"]}/AWSLogs/${local.account_id}/CloudTrail/"
      input       = "com.amazon.emr.cloudtrail.CloudTrailInputFormat"
      output      = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde       = "org.apache.hive.hcatalog.data.JsonSerDe"
      serde_with  = {}
      partitions  = [["region", "string"], ["day", "string"]]
      parameters = merge(local.by_day, {
        "classification"            = "cloudtrail"
        "projection.region.type"    = "enum"
        "projection.region.values"  = join(",", local.regions)
        "storage.location.template" = "s3://${local.bucket_names["trail"]}/AWSLogs/${local.account_id}/CloudTrail/$${region}/$${day}"
      })
      columns = [
        ["eventversion", "string"],
        ["useridentity", "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,accesskeyid:string,username:string,onbehalfof:struct<userid:string,identitystorearn:string>,sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>>>"],
        ["eventtime", "string"],
        ["eventsource", "string"],
        ["eventname", "string"],
        ["awsregion", "string"],
        ["sourceipaddress", "string"],
        ["useragent", "string"],
        ["errorcode", "string"],
        ["errormessage", "string"],
        ["requestparameters", "string"],
        ["responseelements", "string"],
        ["additionaleventdata", "string"],
        ["requestid", "string"],
        ["eventid", "string"],
        ["readonly", "string"],
        ["resources", "array<struct<arn:string,accountid:string,type:string>>"],
        ["eventtype", "string"],
        ["recipientaccountid", "string"],
        ["serviceeventdetails", "string"],
        ["sharedeventid", "string"],
        ["vpcendpointid", "string"],
        ["eventcategory", "string"],
      ]
      made = true
    }
    access_logs = {
      description = "Requests to buckets, as S3 logged them, by bucket and day; best effort, and late by hours"
      location    = "s3://${local.bucket_names["access-logs"]}/${local.access_log_prefix}${local.account_id}/${local.region}/"
      input       = "org.apache.hadoop.mapred.TextInputFormat"
      output      = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde       = "org.apache.hadoop.hive.serde2.RegexSerDe"
      serde_with = {
        "input.regex" = join(" ", [
          "([^ ]*) ([^ ]*) \\[(.*?)\\] ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) (\"[^\"]*\"|-) (-|[0-9]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*)",
          "(\"[^\"]*\"|-) ([^ ]*)(?: ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*))?.*$",
        ])
      }
      partitions = [["bucket", "string"], ["day", "string"]]
      parameters = merge(local.by_day, {
        "projection.bucket.type"    = "enum"
        "projection.bucket.values"  = join(",", concat(values(var.buckets), [for purpose in sort(local.buckets) : local.bucket_names[purpose] if purpose != "access-logs"]))
        "storage.location.template" = "s3://${local.bucket_names["access-logs"]}/${local.access_log_prefix}${local.account_id}/${local.region}/$${bucket}/$${day}"
      })
      columns = [
        for column in [
          "bucket_owner", "bucket_name", "request_time", "remote_ip", "requester", "request_id", "operation", "key", "request_uri", "http_status",
          "error_code", "bytes_sent", "object_size", "total_time", "turnaround_time", "referrer", "user_agent", "version_id", "host_id",
          "signature_version", "cipher_suite", "authentication_type", "host_header", "tls_version", "access_point_arn", "acl_required",
        ] : [column, "string"]
      ]
      made = true
    }
    # A file is one line: DSSE envelopes, whose payload is base64, and documents beside them. Taken as text, no file
    # can make a query fail; the views of them are in the saved queries.
    evidence = {
      description = "What the gates signed, a file a line"
      location    = "s3://${var.buckets.evidence}/runs/"
      input       = "org.apache.hadoop.mapred.TextInputFormat"
      output      = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde       = "org.apache.hadoop.hive.serde2.RegexSerDe"
      serde_with  = { "input.regex" = "^(.*)$" }
      partitions  = []
      parameters  = {}
      columns     = [["line", "string"]]
      made        = true
    }
    flow_logs = {
      description = "Connections, as VPC flow logs have them, by region and day"
      location    = "s3://${try(var.flow_logs.bucket, "")}/${try(var.flow_logs.prefix, "")}AWSLogs/${local.account_id}/vpcflowlogs/"
      input       = "org.apache.hadoop.mapred.TextInputFormat"
      output      = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde       = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
      serde_with  = { "field.delim" = " ", "serialization.format" = " " }
      partitions  = [["region", "string"], ["day", "string"]]
      parameters = merge(local.by_day, {
        "skip.header.line.count"    = "1"
        "projection.region.type"    = "enum"
        "projection.region.values"  = join(",", local.regions)
        "storage.location.template" = "s3://${try(var.flow_logs.bucket, "")}/${try(var.flow_logs.prefix, "")}AWSLogs/${local.account_id}/vpcflowlogs/$${region}/$${day}"
      })
      columns = [
        ["version", "int"], ["account_id", "string"], ["interface_id", "string"], ["srcaddr", "string"], ["dstaddr", "string"],
        ["srcport", "int"], ["dstport", "int"], ["protocol", "bigint"], ["packets", "bigint"], ["bytes", "bigint"],
        ["start", "bigint"], ["end", "bigint"], ["action", "string"], ["log_status", "string"],
      ]
      made = var.flow_logs != null
    }
  } : table => definition if definition.made }
}

resource "aws_glue_catalog_database" "audit" {
  name        = local.database
  description = "What ${var.name} recorded of itself"
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  database_name = aws_glue_catalog_database.audit.name
  name          = each.key
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"
  parameters    = merge({ EXTERNAL = "TRUE" }, each.value.parameters)

  storage_descriptor {
    location      = each.value.location
    input_format  = each.value.input
    output_format = each.value.output

    ser_de_info {
      serialization_library = each.value.serde
      parameters            = merge({ "serialization.format" = "1" }, each.value.serde_with)
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value[0]
        type = columns.value[1]
      }
    }
  }

  dynamic "partition_keys" {
    for_each = each.value.partitions

    content {
      name = partition_keys.value[0]
      type = partition_keys.value[1]
    }
  }
}
