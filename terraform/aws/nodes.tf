# One node group per zone, so that the autoscaler can add nodes in the zone where pods are pending.
resource "aws_launch_template" "node" {
  name_prefix = "${var.name}-node-"

  # Pods must not use the node's identity: IMDSv2 only, with a hop limit that ends at the node.
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 40
      volume_type = "gp3"
      encrypted   = true
    }
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-node" }
  }
}

resource "aws_eks_node_group" "zone" {
  for_each        = aws_subnet.nodes
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${var.name}-${each.key}"
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = [each.value.id]
  instance_types  = [var.node_type]
  ami_type        = "AL2023_x86_64_STANDARD"

  scaling_config {
    min_size     = module.plan.nodes_per_zone.min
    max_size     = module.plan.nodes_per_zone.max
    desired_size = module.plan.nodes_per_zone.min
  }
  update_config {
    max_unavailable = 1
  }
  node_repair_config {
    enabled = true
  }
  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.latest_version
  }

  lifecycle {
    # Managed by the autoscaler after creation.
    ignore_changes = [scaling_config[0].desired_size]
  }
  depends_on = [aws_iam_role_policy_attachment.node, aws_eks_addon.network, aws_eks_addon.before_nodes]
}
