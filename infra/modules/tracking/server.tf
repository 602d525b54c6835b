resource "aws_ecs_cluster" "this" {
  name = local.id

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  # An artefact passes through a task's scratch space.
  configuration {
    managed_storage_configuration {
      fargate_ephemeral_storage_kms_key_id = var.data_key_arn
    }
  }

  # Container Insights would make its own, without key or end.
  depends_on = [aws_cloudwatch_log_group.this]
}

locals {
  # No address holds the password: libpq takes the whole connection from PG* variables, and what is not in an address is
  # neither in a process's arguments nor in what an error quotes. The driver is named, for SQLAlchemy's choice changes.
  server_command = [
    "mlflow", "server",
    "--host", "0.0.0.0",
    "--port", tostring(local.server_port),
    "--workers", tostring(var.workers),
    "--backend-store-uri", "postgresql+psycopg2://",
    "--artifacts-destination", "s3://${local.bucket_name}/artifacts",
    "--serve-artifacts",
  ]

  server_environment = {
    PGHOST        = aws_db_instance.this.address
    PGPORT        = tostring(local.database_port)
    PGDATABASE    = aws_db_instance.this.db_name
    PGSSLMODE     = "verify-full"
    PGSSLROOTCERT = var.database_ca_path

    # The server refuses other names, and pages of other sites; programs name the port too.
    MLFLOW_SERVER_ALLOWED_HOSTS        = "${var.host_name},${var.host_name}:${local.machine_port}"
    MLFLOW_SERVER_CORS_ALLOWED_ORIGINS = "https://${var.host_name}"

    # A bucket of the same name in another account is not ours.
    MLFLOW_S3_EXPECTED_BUCKET_OWNER = local.account_id

    # There is no way out for it.
    MLFLOW_DISABLE_TELEMETRY = "true"

    # Jobs would run what a request names, beside the database's password.
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false"

    AWS_DEFAULT_REGION      = local.region
    HOME                    = "/tmp"
    TMPDIR                  = "/tmp"
    PYTHONDONTWRITEBYTECODE = "1"
  }

  server_container = {
    name             = "server"
    image            = var.image
    essential        = true
    command          = local.server_command
    workingDirectory = "/tmp"
    user             = var.container_user
    privileged       = false

    readonlyRootFilesystem = true
    linuxParameters = {
      capabilities       = { add = [], drop = ["ALL"] }
      initProcessEnabled = true
    }
    mountPoints  = [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }]
    portMappings = [{ containerPort = local.server_port, hostPort = local.server_port, protocol = "tcp" }]

    environment = [for name in sort(keys(local.server_environment)) : { name = name, value = local.server_environment[name] }]
    secrets     = [for name, key in { PGPASSWORD = "password", PGUSER = "username" } : { name = name, valueFrom = "${local.secret_arn}:${key}::" }]

    stopTimeout    = 60
    systemControls = []
    volumesFrom    = []

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this["server"].name
        awslogs-region        = local.region
        awslogs-stream-prefix = "server"
      }
    }
  }
}

resource "aws_ecs_task_definition" "server" {
  family                   = local.id
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu_units
  memory                   = var.memory_mib
  execution_role_arn       = aws_iam_role.this["execution"].arn
  task_role_arn            = aws_iam_role.this["task"].arn
  container_definitions    = jsonencode([local.server_container])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.architecture)
  }

  ephemeral_storage {
    size_in_gib = var.scratch_gib
  }

  # Fargate has no tmpfs: this is a directory of the task's ephemeral storage, and ends with it.
  volume {
    name = "scratch"
  }
}

resource "aws_ecs_service" "server" {
  name             = local.id
  cluster          = aws_ecs_cluster.this.id
  task_definition  = aws_ecs_task_definition.server.arn
  launch_type      = "FARGATE"
  platform_version = "LATEST"
  desired_count    = var.tasks.min

  enable_execute_command             = false
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  availability_zone_rebalancing      = "ENABLED"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 180

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this["server"].id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.server.arn
    container_name   = local.server_container.name
    container_port   = local.server_port
  }

  lifecycle {
    # How many there are is the autoscaling's to say.
    ignore_changes = [desired_count]
  }

  # A target group takes targets only behind a listener; a task that starts before it may read its password fails.
  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.this,
    aws_lb_listener_rule.people,
    aws_vpc_security_group_egress_rule.server_to_database,
    aws_vpc_security_group_egress_rule.server_to_endpoints,
    aws_vpc_security_group_egress_rule.server_to_s3,
    aws_vpc_security_group_ingress_rule.database_from_server,
    aws_vpc_security_group_ingress_rule.endpoints_from_server,
  ]
}

resource "aws_appautoscaling_target" "server" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.server.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.tasks.min
  max_capacity       = var.tasks.max
}

resource "aws_appautoscaling_policy" "server" {
  name               = "${local.id}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.server.service_namespace
  resource_id        = aws_appautoscaling_target.server.resource_id
  scalable_dimension = aws_appautoscaling_target.server.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.tasks.cpu_percent
    scale_in_cooldown  = 300
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
